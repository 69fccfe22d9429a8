import { zoneOffset } from './zone-offset';

/** What the clocks of a zone show at a moment: as a date whose fields in UTC are what they show. */
export const wallOf = (moment: Date, zone: string): Date => new Date(moment.getTime() + zoneOffset(zone, moment.getTime()));
