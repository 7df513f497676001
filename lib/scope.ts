import { AsyncLocalStorage } from 'node:async_hooks';

/** Something that holds native memory. */
export interface Disposable {
  dispose(): void;
}

const storage = new AsyncLocalStorage<Set<Disposable>>();

/** Registers a new object with the scope of the moment, if there is one. */
export function adopt(object: Disposable): void {
  storage.getStore()?.add(object);
}

function contains(value: unknown, object: Disposable, depth = 0): boolean {
  if (value === object) return true;
  if (typeof value !== 'object' || value === null || depth > 3 || ArrayBuffer.isView(value))
    return false;
  if (value instanceof Map) return [...value.values()].some((v) => contains(v, object, depth + 1));
  if (Array.isArray(value)) return value.some((v) => contains(v, object, depth + 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).some((v) => contains(v, object, depth + 1));
}

/**
 * Runs `body` and then disposes every tensor that was made inside it, but for those it returns (as the value, or inside an array,
 * map or plain object); these go to the surrounding scope, if there is one. The garbage collector does not see device memory,
 * so eager code wants a scope. `body` may be async. Scopes nest.
 */
export function scope<T>(body: () => T): T {
  const made = new Set<Disposable>();
  const outer = storage.getStore();
  const end = (result: unknown): void => {
    for (const object of made) {
      if (result !== undefined && contains(result, object)) outer?.add(object);
      else object.dispose();
    }
  };
  let result: T;
  try {
    result = storage.run(made, body);
  } catch (error) {
    end(undefined);
    throw error;
  }
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => {
        end(value);
        return value;
      },
      (error: unknown) => {
        end(undefined);
        throw error;
      },
    ) as T;
  }
  end(result);
  return result;
}
