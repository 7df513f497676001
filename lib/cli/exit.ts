/** Exit codes of the commands, and how an error becomes one. */
import { isRenvoxError, type RenvoxErrorCode } from '../errors.js';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  input: 3,
  device: 4,
  interrupted: 130,
} as const;

const codes: Partial<Record<RenvoxErrorCode, number>> = {
  InvalidArgument: EXIT.usage,
  FileNotFound: EXIT.input,
  InvalidFile: EXIT.input,
  UnsupportedFile: EXIT.input,
  InvalidWeights: EXIT.input,
  ShapeMismatch: EXIT.input,
  DeviceUnavailable: EXIT.device,
  DeviceLost: EXIT.device,
  DeviceMismatch: EXIT.device,
  OutOfMemory: EXIT.device,
  AddonNotFound: EXIT.device,
  AbortError: EXIT.interrupted,
};

/** Writes one line about the error to stderr (its stack where RENVOX_DEBUG is set) and returns the exit code. */
export function reportError(error: unknown): number {
  if (process.env.RENVOX_DEBUG && error instanceof Error) console.error(error.stack);
  if (isRenvoxError(error)) {
    console.error(`renvox: ${error.code}: ${error.message}`);
    return codes[error.code] ?? EXIT.failed;
  }
  console.error(`renvox: ${error instanceof Error ? error.message : String(error)}`);
  return EXIT.failed;
}

/** A signal that fires at Ctrl-C (SIGINT) or SIGTERM, once; the second one ends the process as usual. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => controller.abort(new Error(`interrupted by ${name}`)));
  return controller.signal;
}
