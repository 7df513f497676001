import { AsyncLocalStorage } from 'node:async_hooks';
import { invalidArgument } from './errors.js';

/** Something that holds native memory. */
export interface Disposable {
  dispose(): void;
}

interface Scope {
  readonly made: Set<Disposable>;
  readonly outer: Scope | undefined;
  ended: boolean;
}

const storage = new AsyncLocalStorage<Scope>();

/** A scope that has ended passes on to the one around it: work may outlive the body that began it. */
function living(scope: Scope | undefined): Scope | undefined {
  let found = scope;
  while (found?.ended) found = found.outer;
  return found;
}

/** Registers a new object with the scope of the moment, if there is one. */
export function adopt(object: Disposable): void {
  living(storage.getStore())?.made.add(object);
}

/**
 * Takes an object out of all scopes: whoever calls this disposes it. For the parts of something that is itself adopted (a network's
 * parameters), and for what lives on after the code that made it.
 */
export function keep<T extends Disposable>(object: T): T {
  for (let scope = storage.getStore(); scope; scope = scope.outer) scope.made.delete(object);
  return object;
}

/** The objects in a value: itself, or inside arrays, sets, maps and plain objects. */
export function objectsIn(value: unknown, found = new Set<unknown>()): Set<unknown> {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || found.has(value))
    return found;
  found.add(value);
  if (Array.isArray(value) || value instanceof Set || value instanceof Map)
    for (const v of value.values()) objectsIn(v, found);
  else if ([Object.prototype, null].includes(Object.getPrototypeOf(value)))
    for (const v of Object.values(value)) objectsIn(v, found);
  return found;
}

function end(scope: Scope, result: unknown): void {
  const returned = objectsIn(result);
  scope.ended = true;
  const outer = living(scope.outer);
  for (const object of scope.made) {
    if (returned.has(object)) outer?.made.add(object);
    else object.dispose();
  }
  scope.made.clear();
}

/**
 * Runs `body` and then disposes every tensor that was made inside it, but for those it returns (as the value, or inside arrays, sets,
 * maps or plain objects); these go to the surrounding scope, if there is one. The garbage collector does not see device memory,
 * so eager code wants a scope. `body` may be async. Scopes nest.
 */
export function scope<T>(body: () => T): T {
  if (typeof body !== 'function') throw invalidArgument('body', 'a function', body);
  const inner: Scope = { made: new Set(), outer: storage.getStore(), ended: false };
  let result: T;
  try {
    result = storage.run(inner, body);
  } catch (error) {
    end(inner, undefined);
    throw error;
  }
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => {
        end(inner, value);
        return value;
      },
      (error: unknown) => {
        end(inner, undefined);
        throw error;
      },
    ) as T;
  }
  end(inner, result);
  return result;
}
