import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsString, Max, MaxLength, Min } from 'class-validator';
import { UserError } from '../domain/errors';
import { Optional } from './optional';

/** Query of a list: how many, and after which. */
export class PageQuery {
  @ApiPropertyOptional({ description: 'How many items at most.', default: 50, minimum: 1, maximum: 500 })
  @Optional()
  @Transform(({ value }) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : (value as unknown)))
  @IsInt()
  @Min(1)
  @Max(500)
  limit?: number;

  @ApiPropertyOptional({ description: 'The `nextCursor` of the page before.' })
  @Optional()
  @IsString()
  @MaxLength(200)
  cursor?: string;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Send it as `cursor` for the next page; null on the last. */
  readonly nextCursor: string | null;
}

/** A cursor is the row id it ended at, opaque so that nobody builds on it. */
export const toCursor = (id: number): string => Buffer.from(`id:${id}`).toString('base64url');

/** @throws UserError `request.cursor` when it is not one of ours. */
export function fromCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  const id = /^id:(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString())?.[1];
  if (id === undefined)
    throw new UserError('request.cursor', 'invalid', 'The cursor is not one that this service gave out.', {
      next: 'Start again without a cursor.',
    });
  return Number(id);
}

/** The query as a part of a list. @throws UserError `request.cursor` */
export const toPart = ({ limit, cursor }: PageQuery): { limit: number; after: number | undefined } => ({
  limit: limit ?? 50,
  after: fromCursor(cursor),
});

/** A part of a list as a page for people. */
export const toPage = <R, T>(
  listed: { readonly items: readonly R[]; readonly next: number | null },
  present: (row: R) => T,
): Page<T> => ({
  items: listed.items.map(present),
  nextCursor: listed.next === null ? null : toCursor(listed.next),
});
