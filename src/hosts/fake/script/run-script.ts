import type { FakeHost } from '../fake-host';
import { backup } from './backup';
import type { Call, Said } from './call';
import { check } from './check';
import { deleteBackup, stats } from './delete-stats';
import { checksum } from './checksum';
import { describe } from './describe';
import { Failure, Killed } from './failure';
import { inspect } from './inspect';
import { abort, type RunOperation, start, status } from './jobs';
import { keep, take } from './keep';
import { InvalidOption, parseOptions } from './options';
import { jsonFailure } from './print';
import { restore } from './restore';
import { release } from './release';
import { retire } from './retire';
import { runStock } from './stock';
import { sweep } from './sweep';

/** Runs the host script with these arguments, as it would answer on a real host. */
export async function runScript(host: FakeHost, argv: readonly string[], stdin = Buffer.alloc(0)): Promise<Said> {
  const operation = answering(host, { signal: new AbortController().signal, secrets: null, progress: () => undefined }, stdin);
  return operation(argv);
}

type Context = Parameters<RunOperation>[1];

/** Runs the stock script of this host. */
export async function runStockScript(host: FakeHost, argv: readonly string[], context: Context): Promise<Said> {
  try {
    return await runStock({ host, options: parseOptions(argv), ...context });
  } catch (error) {
    // It has no words for an option that it does not know but these.
    if (error instanceof InvalidOption) return { stdout: `Invalid option: ${error.message}\n`, stderr: '', exit: 1 };
    if (!(error instanceof Failure) || error instanceof Killed) throw error;
    return { stdout: `${error.message}\n`, stderr: '', exit: 1 };
  }
}

function answering(host: FakeHost, context: Context, stdin: Buffer): (argv: readonly string[]) => Promise<Said> {
  return async (argv) => {
    let operation = '';
    try {
      const options = parseOptions(argv);
      operation = options.operation;
      return await dispatch({ host, options, ...context }, stdin);
    } catch (error) {
      if (error instanceof InvalidOption) {
        return {
          stdout: `Invalid option: ${error.message}\nUsage: nasbackup.sh -o OPERATION [options]\n`,
          stderr: `Invalid option: ${error.message}\n`,
          exit: 1,
        };
      }
      if (!(error instanceof Failure) || error instanceof Killed) throw error;
      if (['backup', 'delete', 'stats', ''].includes(operation))
        return { stdout: `${error.message}\n`, stderr: `${error.message}\n`, exit: 1 };
      return jsonFailure(error.code, error.message);
    }
  };
}

async function dispatch(call: Call, stdin: Buffer): Promise<Said> {
  const { host, options } = call;
  switch (options.operation) {
    case 'backup':
      return backup(call);
    case 'delete':
      return deleteBackup(call);
    case 'stats':
      return stats(call);
    case 'check':
      return check(call);
    case 'checksum':
      return checksum(call);
    case 'describe':
      return describe(call);
    case 'inspect':
      return inspect(call);
    case 'take':
      return take(host, options, stdin);
    case 'keep':
      return keep(call);
    case 'retire':
      return retire(call);
    case 'release':
      return release(call);
    case 'restore':
      return restore(call);
    case 'sweep':
      return sweep(call);
    case 'start':
      return start(host, options, stdin.toString(), (argv, context) => answering(host, context, Buffer.alloc(0))(argv));
    case 'status':
      return status(host, options);
    case 'abort':
      return abort(host, options);
    default:
      throw new Failure('bad-option', `Unknown operation: ${options.operation}`);
  }
}
