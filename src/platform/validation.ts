import { ValidationPipe, type ValidationError } from '@nestjs/common';
import { UserError } from '../domain/errors';

function flatten(errors: readonly ValidationError[], path = ''): string[] {
  return errors.flatMap(({ property, constraints, children }) => [
    ...Object.values(constraints ?? {}).map((text) => `${path}${text}`),
    ...flatten(children ?? [], `${path}${property}.`),
  ]);
}

/** Checks bodies and queries against their DTO; fields that the DTO does not know are refused, not dropped. */
export const requestValidation = (): ValidationPipe =>
  new ValidationPipe({
    whitelist: true,
    forbidNonWhitelisted: true,
    transform: true,
    exceptionFactory: (errors) => {
      const problems = flatten(errors);
      return new UserError('request.invalid', 'invalid', problems.join('; '), { facts: { problems } });
    },
  });
