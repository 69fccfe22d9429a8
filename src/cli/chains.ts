import type { Command } from 'commander';
import type { ChainDto, ChainWithLinksDto } from '../chains/dto/chain.dto';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

function chainText(chain: ChainWithLinksDto): string {
  const head = `chain ${chain.id}: ${chain.links} link(s), ${chain.restorable} restorable, ${bytes(chain.size)}`;
  const links = table(chain.backups, [
    { title: 'POS', of: (row) => row.chain.position, right: true },
    { title: 'DATE', of: (row) => row.date },
    { title: 'TYPE', of: (row) => row.type },
    { title: 'REASON', of: (row) => row.reason },
    { title: 'BITMAP', of: (row) => row.chain.bitmap },
    { title: 'RECREATED', of: (row) => row.chain.bitmapRecreated },
    { title: 'SIZE', of: (row) => bytes(row.size), right: true },
    { title: 'RESTORABLE', of: (row) => row.restorable },
    { title: 'ASSURANCE', of: (row) => row.assurance },
    { title: 'ID', of: (row) => row.id },
  ]);
  return [head, links, ...chain.findings.map((finding) => `! ${finding}`)].join('\n');
}

/** `chainkeeper chain VM`. */
export const chainCommand = (): Command =>
  command('chain', 'show the chains of a VM with their links')
    .argument('<vm>', 'id or name')
    .action(
      action(async (vm: string, options: CommonOptions) => {
        const service = client();
        const chains = await service.all<ChainDto>(`/chains?vm=${encodeURIComponent(vm)}`);
        const whole = await Promise.all(
          chains.map(({ id }) => service.get<ChainWithLinksDto>(`/chains/${encodeURIComponent(id)}`)),
        );
        show(options.json, whole, () => (whole.length === 0 ? 'no chain yet' : whole.map(chainText).join('\n\n')));
      }),
    );
