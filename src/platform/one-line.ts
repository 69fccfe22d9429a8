import { Matches } from 'class-validator';

/** Free text that lists and logs can show: no control characters, no half characters, and no name that a path would swallow. */
export const OneLine = (): PropertyDecorator =>
  Matches(/^(?!\.{1,2}$)[^\p{Cc}\p{Cs}]*$/u, { message: '$property must be one line of text without control characters' });
