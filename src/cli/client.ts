import { ChainkeeperError, type ErrorKind, type ErrorParts, OperationalError } from '../domain/errors';
import { readText } from './read-file';

/** An error that the service answered with; code and kind are the service's own. */
class ServiceError extends ChainkeeperError {
  readonly family = 'operational';

  constructor(code: string, kind: ErrorKind, message: string, parts: ErrorParts) {
    super(code, kind, message, parts);
  }
}

interface ProblemBody {
  readonly code?: string;
  readonly detail?: string;
  readonly next?: string;
  readonly facts?: Record<string, unknown>;
}

const KIND_BY_STATUS: Readonly<Record<number, ErrorKind>> = {
  401: 'unauthorized',
  403: 'refused',
  404: 'not-found',
  409: 'refused',
  423: 'busy',
  502: 'failed',
  503: 'unreachable',
};

/** What the service answered. */
export interface Answer<T> {
  readonly body: T;
  readonly status: number;
  readonly location: string | null;
}

/** Where the service is and what to show it. */
export interface ClientOptions {
  readonly url: string;
  readonly token?: string | undefined;
}

/** URL and token from the environment, as the service itself reads them. */
export function clientOptions(environment: NodeJS.ProcessEnv): ClientOptions {
  const tokenFile = environment['CHAINKEEPER_API_TOKEN_FILE'];
  return {
    url: environment['CHAINKEEPER_URL'] ?? `http://127.0.0.1:${environment['CHAINKEEPER_HTTP_PORT'] ?? '8470'}`,
    token: tokenFile ? readText(tokenFile, 'CHAINKEEPER_API_TOKEN_FILE') : environment['CHAINKEEPER_API_TOKEN'],
  };
}

/** The command line's way to the service. */
export class Client {
  constructor(private readonly options: ClientOptions) {}

  get<T>(path: string): Promise<T> {
    return this.send<T>('GET', path).then(({ body }) => body);
  }

  /** Every item of a paged list. */
  async all<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const query: string = `${path.includes('?') ? '&' : '?'}limit=500${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
      const page: { items: T[]; nextCursor: string | null } = await this.get(path + query);
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor);
    return items;
  }

  /** Sends one request. @throws the service's own error, or `service.unreachable`. */
  async send<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<T>> {
    const response = await this.#fetch(method, path, body, headers);
    return { body: (await bodyOf(response)) as T, status: response.status, location: response.headers.get('location') };
  }

  /** What the service tells as server-sent events, until it ends. @throws as `send` */
  async *events<T>(path: string): AsyncGenerator<T> {
    const { body } = await this.#fetch('GET', path, undefined, { accept: 'text/event-stream' });
    let text = '';
    for await (const piece of (body ?? []) as AsyncIterable<Uint8Array>) {
      text += Buffer.from(piece).toString();
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        const data = part.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice('data: '.length)] : []));
        if (data.length > 0) yield JSON.parse(data.join('\n')) as T;
      }
    }
  }

  async #fetch(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Response> {
    const { url, token } = this.options;
    let response: Response;
    try {
      response = await fetch(new URL(`/api/v1${path}`, url), {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new OperationalError('service.unreachable', 'unreachable', `No answer from the service at ${url}.`, {
        next: 'Start it with "chainkeeper serve", or set CHAINKEEPER_URL to where it listens.',
        cause: error,
      });
    }
    if (!response.ok) throw problemError(response.status, await bodyOf(response));
    return response;
  }
}

async function bodyOf(response: Response): Promise<unknown> {
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return isJson && text !== '' ? JSON.parse(text) : text;
}

function problemError(status: number, body: unknown): ChainkeeperError {
  const { code, detail, next, facts } = (typeof body === 'object' && body !== null ? body : {}) as ProblemBody;
  return new ServiceError(
    code ?? `http.${status}`,
    KIND_BY_STATUS[status] ?? (status < 500 ? 'invalid' : 'failed'),
    detail ?? `The service answered ${status}.`,
    { ...(next === undefined ? {} : { next }), ...(facts === undefined ? {} : { facts }) },
  );
}
