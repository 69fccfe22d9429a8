import type { Command } from 'commander';
import { describeConfig, loadConfig } from '../platform/config/load-config';
import { show, table } from './output';
import { action, command, type CommonOptions } from './program';

/** `chainkeeper config`: the effective settings, secrets redacted. */
export const configCommand = (): Command =>
  command('config', 'print the effective settings, secrets redacted').action(
    action((options: CommonOptions) => {
      const settings = describeConfig(loadConfig(process.env));
      show(options.json, Object.fromEntries(settings.map(({ env, value }) => [env, value])), () =>
        table(settings, [
          { title: 'SETTING', of: ({ env }) => env },
          { title: 'VALUE', of: ({ value }) => value as string | number },
          { title: 'MEANING', of: ({ help }) => help },
        ]),
      );
    }),
  );
