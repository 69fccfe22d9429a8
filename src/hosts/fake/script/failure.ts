/** An operation of the host script ends here: `code` is a word for programs, `message` a sentence for people. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The script was killed: it prints nothing more and cleans nothing up. */
export class Killed extends Error {}
