/** PyTorch's small networks: their tensors by the names that renvox uses. */
import type { Device, Tensor } from 'renvox';
import { channelsLast, type Reference, torchTensors } from '../ops/harness.js';

export class Fixture {
  readonly #tensors: Map<string, Reference>;

  constructor(file: string) {
    this.#tensors = torchTensors(file);
  }

  get(name: string): Reference {
    const found = this.#tensors.get(name);
    if (!found) throw new Error(`The fixture has no ${name}`);
    return found;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** An image [N, C, D, H, W] as [N, D, H, W, C] on a device. */
  image(device: Device, name: string): Tensor {
    const { data, shape } = this.get(name);
    const moved = channelsLast(data, shape);
    return device.tensor(moved.data, { shape: moved.shape });
  }

  /** The tensors with this prefix, uploaded as they are: weights have PyTorch's order on both sides. */
  weights(device: Device, prefix: string, names: Iterable<string>): Map<string, Tensor> {
    const result = new Map<string, Tensor>();
    for (const name of names) {
      const { data, shape } = this.get(prefix + name);
      result.set(name, device.tensor(data, { shape }));
    }
    return result;
  }
}
