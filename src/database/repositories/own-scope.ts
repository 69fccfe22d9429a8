/**
 * Without CloudStack there are no accounts, domains and zones, but its columns for them may not be empty. Everything of
 * ours belongs to what CloudStack numbers 1: the system account, the ROOT domain and the first zone.
 */
export const OWN_SCOPE = { accountId: 1, domainId: 1, zoneId: 1 } as const;
