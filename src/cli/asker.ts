/** Who sits at this shell, where nobody says otherwise. */
export const asker = (): string => process.env['SUDO_USER'] ?? process.env['USER'] ?? 'unknown';
