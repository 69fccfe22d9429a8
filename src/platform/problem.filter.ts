import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { Request, Response } from 'express';
import { LOG, type Log } from './log';
import { toProblem } from './problem';

/** The one place where an error becomes an HTTP answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOG) private readonly log: Log) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<Request & { id?: string }>();
    const response = http.getResponse<Response>();
    const problem = toProblem(error, request.id);
    const line = { err: error, code: problem.code, requestId: request.id, url: request.originalUrl };
    if (problem.status >= 500 && problem.status !== 503) this.log.error(line, 'request failed');
    else this.log.info({ ...line, err: undefined, detail: problem.detail }, 'request refused');
    if (response.headersSent) return;
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  }
}
