/** How many times as often `npm run test:full` tries what is tried at random. */
export const THOROUGH = process.env['CHAINKEEPER_TEST_FULL'] === '1' ? 10 : 1;
