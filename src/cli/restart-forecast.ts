import type { Command } from 'commander';
import type { RestartForecastDto } from '../schedules/dto/restart-forecast.dto';
import { oneLine, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** `chainkeeper host forecast`. */
export const forecastCommand = (): Command =>
  command('forecast', 'what a restart of a host would cost: which VMs would need a full, why, and how those would be spread')
    .argument('<host>', 'id or name')
    .option('--crash', 'the host goes down with its guests; otherwise they are shut down before')
    .action(
      action(async (id: string, { json, crash }: CommonOptions & { crash?: boolean }) => {
        const path = `/hosts/${encodeURIComponent(id)}/restart-forecast?crash=${crash ? 'true' : 'false'}`;
        const forecast = await client().get<RestartForecastDto>(path);
        show(json, forecast, () => asText(forecast));
      }),
    );

function asText({ sentence, fulls, spared }: RestartForecastDto): string {
  const rows = [
    ...fulls.map(({ startsAt, ...full }) => ({ ...full, startsAt: startsAt ?? 'when asked for' })),
    ...spared.map((vm) => ({ ...vm, startsAt: 'none' })),
  ];
  if (rows.length === 0) return sentence;
  const columns = [
    { title: 'VM', of: (row: (typeof rows)[number]) => row.vm },
    { title: 'FULL FROM', of: (row: (typeof rows)[number]) => row.startsAt },
    { title: 'WHY', of: (row: (typeof rows)[number]) => row.sentence },
  ];
  return `${oneLine(sentence)}\n\n${table(rows, columns)}`;
}
