import type { Response } from 'express';
import type { RunDto } from './dto/run.dto';

/** Answers 202 with a run that was written down; Location leads to it. */
export function accepted(response: Response, run: RunDto): RunDto {
  response.status(202).location(`/api/v1/runs/${run.id}`);
  return run;
}
