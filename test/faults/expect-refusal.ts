/** What must be refused with this code, by the service or by the host script. @throws when it was done, or refused with another code */
export async function expectRefusal(asked: Promise<unknown>, code: string): Promise<void> {
  const answer = await asked.then(
    () => 'done',
    (error: unknown) => error as { code?: string; stdout?: string; stderr?: string },
  );
  if (typeof answer === 'string') throw new Error(`${code} was expected, and it was done`);
  if (answer.code !== code && !answer.stdout?.includes(`"${code}"`) && !answer.stderr?.includes(code))
    throw new Error(`${code} was expected, not ${JSON.stringify(answer)}`);
}
