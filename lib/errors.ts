/**
 * The errors of renvox. Every rejection of bad input, of a failed operation or of a missing device is a
 * {@link RenvoxError} whose `code` says what kind it is and whose message says what was wrong, with numbers.
 */

/** What went wrong, in one word. Stable: programs may switch on it. */
export type RenvoxErrorCode =
  /** A parameter is of the wrong type or out of range. */
  | 'InvalidArgument'
  /** Shapes that must agree do not. */
  | 'ShapeMismatch'
  /** A tensor has an element type that the operation does not take. */
  | 'DtypeMismatch'
  /** Tensors of one operation live on different devices. */
  | 'DeviceMismatch'
  /** A tensor, network or device was used after its dispose(). */
  | 'DisposedError'
  /** The device asked for is not there; the message says why. */
  | 'DeviceUnavailable'
  /** The device failed for good; make a new one. */
  | 'DeviceLost'
  /** The memory limit of the device, or the memory of the machine, was reached. */
  | 'OutOfMemory'
  /** An AbortSignal stopped the work; `cause` is the signal's reason. */
  | 'AbortError'
  /** A file or folder is not there or cannot be opened. */
  | 'FileNotFound'
  /** A file is damaged or is not what it claims to be. */
  | 'InvalidFile'
  /** A file is sound but uses a feature that renvox does not read. */
  | 'UnsupportedFile'
  /** A file could not be written: disk full, no permission; `cause` is the system's error. */
  | 'WriteFailed'
  /** Weights do not fit the network that shall hold them, or their file is damaged. */
  | 'InvalidWeights'
  /** A loss, gradient or parameter became infinite or NaN during training. */
  | 'Diverged'
  /** The native addon could not be loaded; the message says what was looked for. */
  | 'AddonNotFound'
  /** A fault of renvox itself: please report it. */
  | 'InternalError';

/** Facts about the error for programs: the parameter's name, shapes, file, operation and the like. */
export type RenvoxErrorDetails = Readonly<Record<string, unknown>>;

/** The one class of error that renvox throws on purpose. `name` equals `code`. */
export class RenvoxError extends Error {
  readonly code: RenvoxErrorCode;
  readonly details: RenvoxErrorDetails;

  constructor(
    code: RenvoxErrorCode,
    message: string,
    details: RenvoxErrorDetails = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = code;
    this.code = code;
    this.details = details;
  }
}

/** Whether `error` is a {@link RenvoxError}, and, where `code` is given, of that kind. */
export function isRenvoxError(error: unknown, code?: RenvoxErrorCode): error is RenvoxError {
  return error instanceof RenvoxError && (code === undefined || error.code === code);
}

/** "Expected X for parameter y but received Z of type T", the wording of every argument error. */
export function invalidArgument(
  parameter: string,
  expected: string,
  received: unknown,
): RenvoxError {
  return new RenvoxError(
    'InvalidArgument',
    `Expected ${expected} for parameter ${parameter} but received ${describe(received)}`,
    { parameter, expected, received },
  );
}

/** The same where what was received is told in words. */
export function unfitArgument(parameter: string, expected: string, received: string): RenvoxError {
  return new RenvoxError(
    'InvalidArgument',
    `Expected ${expected} for parameter ${parameter} but received ${received}`,
    { parameter, expected, received },
  );
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
  if (Array.isArray(value))
    return `[${value.slice(0, 8).join(', ')}${value.length > 8 ? ', …' : ''}] of type array`;
  if (typeof value === 'object')
    return `an object of type ${value.constructor?.name ?? 'null prototype'}`;
  if (typeof value === 'function') return 'a function';
  return `${String(value)} of type ${typeof value}`;
}
