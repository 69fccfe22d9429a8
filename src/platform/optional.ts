import { ValidateIf } from 'class-validator';

/** May be left out, but not be null: class-validator's own `IsOptional` lets null pass as well, which is for fields that can be unset. */
export const Optional = (): PropertyDecorator => ValidateIf((_object, value) => value !== undefined);
