import type { Command } from 'commander';
import { loadConfig } from '../platform/config/load-config';
import { action, command } from './program';

/** `chainkeeper serve`: the service, until it is told to stop. */
export const serveCommand = (): Command =>
  command('serve', 'run the service: REST API and engine').action(
    action(async () => {
      const config = loadConfig(process.env);
      // Loaded only here: the other commands start in a fraction of the time without the framework.
      const { serve } = await import('../main.js');
      await serve(config);
    }),
  );

/** `chainkeeper openapi`: the description of the REST API, as committed in docs/openapi.json. */
export const openapiCommand = (): Command =>
  command('openapi', 'print the OpenAPI description of the REST API').action(
    action(async () => {
      const { describeApi } = await import('../main.js');
      process.stdout.write(`${JSON.stringify(await describeApi(), null, 2)}\n`);
    }),
  );
