/** Volumes are [N, D, H, W, C], or [N, D, H, W] with C = 1: checks of that and of figures along the three axes. */
import { invalidArgument, RenvoxError } from '../errors.js';
import type { DType, Tensor } from '../tensor.js';
import { checkTensor, text } from './check.js';

/** Three figures along D, H, W. */
export type AlongAxes = readonly [number, number, number];

/** [N, D, H, W, C] of a volume. */
export function volumeAxes(
  operation: string,
  parameter: string,
  value: unknown,
  dtype?: DType | readonly DType[],
): [number, number, number, number, number] {
  checkTensor(operation, parameter, value, dtype === undefined ? {} : { dtype });
  const { shape } = value;
  if (shape.length !== 4 && shape.length !== 5)
    throw new RenvoxError(
      'ShapeMismatch',
      `Expected a volume [N, D, H, W, C] or [N, D, H, W] for parameter ${parameter} of ${operation} but received shape ${text(shape)}`,
      { operation, parameter, shape },
    );
  const [n, d, h, w, c = 1] = shape as [number, number, number, number, number?];
  return [n, d, h, w, c];
}

/** The shape of `x` with other extents along D, H, W. */
export function withExtents(x: Tensor, size: AlongAxes): number[] {
  return [x.shape[0] as number, ...size, ...x.shape.slice(4)];
}

/** Checks three figures along D, H, W; whole ones where `whole`. */
export function checkAlongAxes(
  operation: string,
  parameter: string,
  value: unknown,
  { least = Number.NEGATIVE_INFINITY, whole = false } = {},
): asserts value is AlongAxes {
  const good = (n: unknown): boolean =>
    typeof n === 'number' &&
    Number.isFinite(n) &&
    n >= least &&
    (!whole || Number.isSafeInteger(n));
  if (!Array.isArray(value) || value.length !== 3 || !value.every(good)) {
    const kind = whole ? 'integers' : 'finite numbers';
    const bound = Number.isFinite(least) ? ` of at least ${least}` : '';
    throw invalidArgument(
      `${parameter} of ${operation}`,
      `three ${kind}${bound} along D, H, W`,
      value,
    );
  }
}
