import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { ChainkeeperError, UserError } from '../domain/errors';
import type { Role } from './config/engine.config';

const BODY_LIMIT = '256kb';
/** What answers without a token: health is for balancers, the description of the API is no secret. */
const OPEN = /^\/(?:health\/(?:live|ready)|api\/docs(?:-json|-yaml)?(?:\/.*)?)\/?$/;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Every call has an id: in its answer, in the log, and in the problem when it fails. */
function identify(request: Request & { id?: string }, response: Response, next: NextFunction): void {
  request.id = randomUUID();
  response.setHeader('x-request-id', request.id);
  next();
}

/** A worker tells how it is, and nothing else. */
function answerHowItIs(request: Request, _response: Response, next: NextFunction): void {
  if (/^\/(?:health\/(?:live|ready)|metrics)\/?$/.test(request.path)) return next();
  throw new UserError('service.no-api', 'not-found', 'This instance is a worker: it drives runs and takes no calls.', {
    next: 'Call an instance whose CHAINKEEPER_ROLE is api or all.',
  });
}

/** Asks every call for the token, before anything of it is read. */
function askToken(token: string) {
  const wanted = digest(token);
  return (request: Request, _response: Response, next: NextFunction): void => {
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    // Digests have one length, so the comparison tells nothing about the token's.
    if (OPEN.test(request.path) || timingSafeEqual(digest(given), wanted)) return next();
    throw new UserError(
      'auth.token',
      'unauthorized',
      'This service asks for a token, and the call carried none or a wrong one.',
      {
        next: 'Send "Authorization: Bearer <token>"; the command line reads it from CHAINKEEPER_API_TOKEN or _FILE.',
      },
    );
  };
}

/** A body that is not JSON would be dropped in silence, and its fields called missing. */
function refuseOtherMedia(request: Request, _response: Response, next: NextFunction): void {
  const hasBody = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (!hasBody || request.is('json')) return next();
  throw new UserError('request.media-type', 'invalid', 'The body is not declared as JSON.', {
    next: 'Send it with "Content-Type: application/json".',
  });
}

/** What body-parser says becomes an error of ours. Its texts quote the body, which may hold a secret. */
function readBodyError(error: unknown, _request: Request, _response: Response, next: NextFunction): void {
  if (error instanceof ChainkeeperError) return next(error);
  const { type } = error as { type?: string };
  if (type === 'entity.too.large')
    return next(new UserError('request.too-large', 'invalid', `The body is larger than ${BODY_LIMIT}.`));
  if (type === 'entity.parse.failed')
    return next(
      new UserError('request.json', 'invalid', 'The body is not valid JSON, or its outermost value is neither object nor list.'),
    );
  next(new UserError('request.body', 'invalid', 'The body cannot be read in the encoding that the call names.'));
}

/** What a call passes before any route sees it, in this order. Must be called before anything else is added to the app. */
export function guardGate(app: NestExpressApplication, token: string | undefined, role: Role): void {
  app.use(identify);
  if (role === 'worker') app.use(answerHowItIs);
  if (token !== undefined) app.use(askToken(token));
  app.use(refuseOtherMedia);
  app.useBodyParser('json', { limit: BODY_LIMIT });
  app.use(readBodyError);
}
