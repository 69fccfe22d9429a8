/**
 * Whether a text names a time zone that this process knows (IANA, `Europe/Berlin`). A bare offset (`+02:00`) is none: not every Node
 * takes one, and it knows no summer.
 */
export function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
