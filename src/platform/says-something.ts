import { Matches } from 'class-validator';

/** A text of one line that says something. */
export const SaysSomething = (): PropertyDecorator =>
  Matches(/^[^\p{Cc}\p{Cs}]*[^\s\p{Cc}\p{Cs}][^\p{Cc}\p{Cs}]*$/u, {
    message: '$property must be one line of text that says something',
  });
