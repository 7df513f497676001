/** Checks of operations' arguments. They run once, at the public operation; native code asserts. */
import { invalidArgument, RenvoxError } from '../errors.js';
import { type DType, Tensor } from '../tensor.js';

/** Checks that `value` is a tensor with one of these types and this number of axes. */
export function checkTensor(
  operation: string,
  parameter: string,
  value: unknown,
  options: { rank?: number; dtype?: DType | readonly DType[] } = {},
): asserts value is Tensor {
  if (!(value instanceof Tensor))
    throw invalidArgument(`${parameter} of ${operation}`, 'a Tensor', value);
  const { rank, dtype } = options;
  if (rank !== undefined && value.shape.length !== rank)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected ${rank} axes for parameter ${parameter} of ${operation} but received shape ${text(value.shape)}`,
      { operation, parameter, shape: value.shape },
    );
  const types = dtype === undefined ? undefined : typeof dtype === 'string' ? [dtype] : dtype;
  if (types && !types.includes(value.dtype))
    throw new RenvoxError(
      'DtypeMismatch',
      `Expected ${types.join(' or ')} for parameter ${parameter} of ${operation} but received ${value.dtype}`,
      { operation, parameter, dtype: value.dtype },
    );
}

/** Checks a shape against the one that the other arguments demand. */
export function checkShape(
  operation: string,
  parameter: string,
  tensor: Tensor,
  wanted: readonly number[],
): void {
  if (tensor.shape.length !== wanted.length || wanted.some((n, i) => n !== tensor.shape[i]))
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected shape ${text(wanted)} for parameter ${parameter} of ${operation} but received ${text(tensor.shape)}`,
      { operation, parameter, expected: wanted, shape: tensor.shape },
    );
}

/** Checks that `value` is an f32 vector of one value per channel. */
export function checkChannels(
  operation: string,
  parameter: string,
  value: unknown,
  channels: number,
): asserts value is Tensor {
  checkTensor(operation, parameter, value, { dtype: 'f32' });
  checkShape(operation, parameter, value, [channels]);
}

/** Checks that `value` is an f32 tensor with at least these axes and no empty one; returns its last axis. */
export function checkImage(operation: string, value: unknown, leastRank = 2): number {
  checkTensor(operation, 'x', value, { dtype: 'f32' });
  if (value.shape.length < leastRank || value.size === 0)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected at least ${leastRank} axes (samples, space, channels), none empty, for parameter x of ${operation} but received shape ${text(value.shape)}`,
      { operation, parameter: 'x', shape: value.shape },
    );
  return value.shape[value.shape.length - 1] as number;
}

/** Checks that a list has a tensor of the same shape for every parameter. */
export function checkList(
  operation: string,
  name: string,
  parameters: readonly Tensor[],
  list: readonly Tensor[],
): void {
  if (!Array.isArray(list) || list.length !== parameters.length)
    throw invalidArgument(`${name} of ${operation}`, `${parameters.length} tensors`, list);
  for (const [i, parameter] of parameters.entries()) {
    checkTensor(operation, `parameters[${i}]`, parameter, { dtype: 'f32' });
    const other = list[i];
    checkTensor(operation, `${name}[${i}]`, other, { dtype: 'f32' });
    checkShape(operation, `${name}[${i}]`, other, parameter.shape);
  }
}

/** An integer, or three of them along D, H, W. */
export type Triple = number | readonly [number, number, number];

/** Makes three integers of one or three, each at least `least`. */
export function triple(
  operation: string,
  parameter: string,
  value: Triple,
  least: number,
): [number, number, number] {
  const list: readonly number[] = typeof value === 'number' ? [value, value, value] : value;
  if (
    !Array.isArray(list) ||
    list.length !== 3 ||
    !list.every((n) => Number.isInteger(n) && n >= least)
  )
    throw invalidArgument(
      `${parameter} of ${operation}`,
      `an integer of at least ${least}, or three of them`,
      value,
    );
  return list as unknown as [number, number, number];
}

/** Checks a finite number in a closed range. */
export function checkNumber(
  operation: string,
  parameter: string,
  value: unknown,
  least = Number.NEGATIVE_INFINITY,
  most = Number.POSITIVE_INFINITY,
): asserts value is number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < least || value > most)
    throw invalidArgument(
      `${parameter} of ${operation}`,
      `a number from ${least} to ${most}`,
      value,
    );
}

const ranges: Partial<Record<DType, [number, number]>> = {
  u8: [0, 255],
  i16: [-32768, 32767],
  i32: [-(2 ** 31), 2 ** 31 - 1],
};

/** Checks a finite number that a tensor of this type can hold: of an integer type, one in its range. */
export function checkValue(
  operation: string,
  parameter: string,
  value: unknown,
  dtype: DType,
): asserts value is number {
  checkNumber(operation, parameter, value, ...(ranges[dtype] ?? []));
}

/** Checks an integer in a closed range. */
export function checkInteger(
  operation: string,
  parameter: string,
  value: unknown,
  least: number,
  most: number,
): asserts value is number {
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
    throw invalidArgument(
      `${parameter} of ${operation}`,
      `an integer from ${least} to ${most}`,
      value,
    );
}

/** Checks that an option that may be left out is one of these words. */
export function checkChoice(
  operation: string,
  parameter: string,
  value: unknown,
  choices: readonly string[],
): void {
  if (value !== undefined && !choices.includes(value as string))
    throw invalidArgument(`${parameter} of ${operation}`, choices.join(' or '), value);
}

/** @internal A shape as messages show it: [1, 2, 3]. */
export function text(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
