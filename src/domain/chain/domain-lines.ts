import { quote } from '../agent/quote';

/**
 * A program for sed, which makes the definition of another VM of the one that lies beside a backup, line by line as libvirt writes it
 * (docs/restore-by-hand.md has it word for word). What is the old host's or the old VM's alone goes, network links too, or two machines
 * would answer to one address.
 */
const REWRITE = String.raw`/^  <seclabel.*\/>$/d
/^  <seclabel/,/^  <\/seclabel>$/d
/^    <emulator>/d
/^    <nvram/d
/^    <interface/,/^    <\/interface>$/d
/^    <hostdev/,/^    <\/hostdev>$/d
/^    <graphics/s/ listen='[^']*'//
/^      <listen /d
/^      <source mode=/d
/^      <source path=/d
/^    <disk/,/^    <\/disk>$/{
  s/<disk type='[a-z]*'/<disk type='file'/
  /^      <\(backingStore\|mirror\|auth\|encryption\).*\/>$/d
  /^      <backingStore/,/^      <\/backingStore>$/d
  /^      <mirror/,/^      <\/mirror>$/d
  /^      <auth/,/^      <\/auth>$/d
  /^      <encryption/,/^      <\/encryption>$/d
  /^      <source .*[^\/]>$/,/^      <\/source>$/{
    /<source /!d
    s|>$|/>|
  }
}
/^    <disk .*device='disk'/,/^    <\/disk>$/s/^\( *<driver .*type='\)[a-z0-9]*/\1qcow2/
/^    <disk .*device='\(cdrom\|floppy\)'/,/^    <\/disk>$/{
  /^      <source/d
}`;

/** A disk that was restored. */
interface NewFile {
  /** Name of the file in the backup: `root.<image>.qcow2`. */
  readonly file: string;
  /** Name of the new one, in the directory that they went to. */
  readonly name: string;
}

/**
 * The commands that make a running VM of restored files and the definition beside them, for a script that has `$to`. It stops where a
 * disk is left that would be the old VM's own.
 * @param to the same directory
 */
export function domainLines(to: string, newName: string, files: readonly NewFile[]): string[] {
  const there = `file='${escapeXml(to)}/`;
  return [
    '# The VM: under another name and uuid, over the new files alone, without network.',
    `[ -e "$to"/domain-config.xml ] || { echo 'the VM was stopped when it was backed up: nobody knows its definition' >&2; exit 1; }`,
    `cat >"$to"/vm.sed <<'END'`,
    ...REWRITE.split('\n'),
    `s|^  <name>.*|  <name>${newName}</name>|`,
    ...files.map(({ file, name }) => {
      const image = file.slice(file.indexOf('.') + 1).replace(/\.qcow2$/, '');
      return `s|^      <source .*/${escapePattern(image)}'.*|      <source ${escapeReplacement(there + name)}'/>|`;
    }),
    'END',
    `old=$(sed -n 's|^  <uuid>\\(.*\\)</uuid>$|\\1|p' "$to"/domain-config.xml)`,
    'new=$(cat /proc/sys/kernel/random/uuid)',
    'sed -f "$to"/vm.sed -e "s|>$old<|>$new<|" "$to"/domain-config.xml >"$to"/vm.xml',
    `! grep '^      <source ' "$to"/vm.xml | grep -vF ${quote(there)} || { echo 'what vm.xml names there was not restored' >&2; exit 1; }`,
    'virsh define "$to"/vm.xml',
    `virsh start ${quote(newName)}`,
    `virsh domstate ${quote(newName)} | grep -x running`,
  ];
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', "'": '&apos;', '<': '&lt;', '>': '&gt;' };
const escapeXml = (text: string): string => text.replace(/[&'<>]/g, (character) => ENTITIES[character] ?? '');
/** Of sed, between bars. */
const escapePattern = (text: string): string => text.replace(/[.*[\]^$\\|]/g, String.raw`\$&`);
const escapeReplacement = (text: string): string => text.replace(/[&\\|]/g, String.raw`\$&`);
