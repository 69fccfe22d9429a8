/** What a bench found: the last line of its output, as JSON. */
export interface BenchResult {
  readonly bench: string;
  /** Ours against a peer of the same run. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly values: Readonly<Record<string, unknown>>;
  /** What this machine could do at most. */
  readonly limit: Readonly<Record<string, unknown>>;
}
