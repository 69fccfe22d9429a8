import type { Sample } from '../platform/metrics/write-metrics';

type Labels = Readonly<Record<string, string>>;

/** What is counted apart by labels; it only grows. */
export class Count {
  readonly #byLabels = new Map<string, { readonly labels: Labels; value: number }>();

  /** @param from what counts 0 from the beginning */
  constructor(from: readonly Labels[]) {
    for (const labels of from) this.add(labels, 0);
  }

  /** @param labels in the same order each time */
  add(labels: Labels, by = 1): void {
    const key = JSON.stringify(labels);
    const known = this.#byLabels.get(key);
    if (known === undefined) this.#byLabels.set(key, { labels, value: by });
    else known.value += by;
  }

  samples(): Sample[] {
    return [...this.#byLabels.values()].map((one) => ({ ...one }));
  }
}
