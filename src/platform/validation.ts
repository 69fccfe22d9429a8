import { ValidationPipe, type ValidationError } from '@nestjs/common';
import { UserError } from '../domain/errors';

function textsOf({ property, constraints = {}, value }: ValidationError): string[] {
  if ('whitelistValidation' in constraints) return [`${property} is not known here`];
  // Every rule fails for what is not there; one word is enough.
  if (value === undefined && Object.keys(constraints).length > 0) return [`${property} is missing`];
  return Object.values(constraints);
}

function flatten(errors: readonly ValidationError[], path = ''): string[] {
  return errors.flatMap((error) => [
    ...textsOf(error).map((text) => `${path}${text}`),
    ...flatten(error.children ?? [], `${path}${error.property}.`),
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
