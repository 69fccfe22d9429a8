/** A lab that can say what is left behind on it. */
interface Leaking {
  leaks(allowedCheckpoints: readonly string[]): Promise<string[]>;
}

/** What is left behind once the service has had the time for what it does by itself after a run, such as writing a manifest. */
export async function leftovers(lab: Leaking, allowedCheckpoints: readonly string[]): Promise<string[]> {
  let left = await lab.leaks(allowedCheckpoints);
  for (const deadline = Date.now() + 30_000; left.length > 0 && Date.now() < deadline;) {
    await new Promise((wake) => setTimeout(wake, 50));
    left = await lab.leaks(allowedCheckpoints);
  }
  return left;
}
