/** Set by `npm run test:full`: everything, in every combination. */
export const FULL = process.env['CHAINKEEPER_TEST_FULL'] === '1';

/** How many times as often the full run tries what is tried at random. */
export const THOROUGH = FULL ? 10 : 1;
