import { UserError } from '../domain/errors';

/** The thing asked for. @throws UserError `<area>.not-found` when there is none. */
export function found<T>(thing: T | null | undefined, area: string, id: string): T {
  if (thing !== null && thing !== undefined) return thing;
  throw new UserError(`${area}.not-found`, 'not-found', `There is no ${area} ${JSON.stringify(id.slice(0, 100))}.`, {
    next: 'Ids and names are in the list of the same resource.',
  });
}
