import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { UserError } from '../domain/errors';
import { Config } from './config/load-config';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Asks every call for the token when there is one; health answers without, for balancers. */
@Injectable()
export class TokenGuard implements CanActivate {
  constructor(@Inject(Config) private readonly config: Config) {}

  canActivate(context: ExecutionContext): boolean {
    const { token } = this.config.http;
    if (token === undefined) return true;
    const request = context.switchToHttp().getRequest<Request>();
    if (request.path.startsWith('/health/')) return true;
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    // Digests have one length, so the comparison tells nothing about the token's.
    if (timingSafeEqual(digest(given), digest(token))) return true;
    throw new UserError(
      'auth.token',
      'unauthorized',
      'This service asks for a token, and the call carried none or a wrong one.',
      {
        next: 'Send "Authorization: Bearer <token>"; the command line reads it from CHAINKEEPER_API_TOKEN or _FILE.',
      },
    );
  }
}
