/** From 0 to below 1, always the same for the same text, and evenly spread. */
export const fractionOf = (text: string): number => hash(text) / 2 ** 32;

/** FNV-1a, and murmur's last mix: names that differ in one digit must not lie side by side. */
function hash(text: string): number {
  let mixed = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) mixed = Math.imul(mixed ^ text.charCodeAt(index), 0x01000193);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
