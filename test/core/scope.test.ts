import { type Device, ops, scope, type Tensor } from 'renvox';
import t from 'tap';
import { adopt, keep } from '#lib/scope.js';
import { onEveryDevice } from '../ops/harness.js';

const make = (device: Device, value = 1) => device.full([4], value);

onEveryDevice(t, 'a scope frees what it does not return', async (t, device) => {
  const inner: Tensor[] = [];
  const result = scope(() => {
    const a = make(device);
    const b = ops.add(a, a);
    inner.push(a, b);
    return ops.add(b, b);
  });
  t.strictSame(
    inner.map((x) => x.disposed),
    [true, true],
  );
  t.strictSame(await result.data(), Float32Array.of(4, 4, 4, 4));
});

onEveryDevice(t, 'what arrays, sets, maps and objects hold is returned', async (t, device) => {
  const kept = scope(() => ({
    list: [make(device), { deep: { deeper: { deepest: [make(device)] } } }] as const,
    map: new Map([['a', make(device)]]),
    set: new Set([make(device)]),
    bare: Object.assign(Object.create(null), { x: make(device) }) as { x: Tensor },
  }));
  const deepest = kept.list[1].deep.deeper.deepest[0] as Tensor;
  const all = [kept.list[0], deepest, ...kept.map.values(), ...kept.set, kept.bare.x];
  t.equal(all.length, 5);
  t.notOk(all.some((x) => x.disposed));
});

onEveryDevice(t, 'async bodies, side by side', async (t, device) => {
  const before = device.memory.live;
  const made: Tensor[] = [];
  const work = async (value: number) =>
    scope(async () => {
      const a = make(device, value);
      await a.data();
      const b = ops.add(a, a);
      made.push(a, b);
      await new Promise(setImmediate);
      return (await b.data())[0];
    });
  t.strictSame(await Promise.all([work(1), work(2), work(3)]), [2, 4, 6]);
  t.equal(made.length, 6);
  t.ok(made.every((x) => x.disposed));
  t.equal(device.memory.live, before);
});

onEveryDevice(t, 'scopes nest: what the inner returns is the outer’s', async (t, device) => {
  let fromInner: Tensor | undefined;
  const result = await scope(async () => {
    fromInner = await scope(async () => make(device, 5));
    t.notOk(fromInner.disposed);
    return ops.add(fromInner, fromInner);
  });
  t.ok(fromInner?.disposed);
  t.equal((await result.data())[0], 10);
});

onEveryDevice(t, 'errors free as well', async (t, device) => {
  const made: Tensor[] = [];
  const fail = () => {
    made.push(make(device));
    throw new Error('body');
  };
  t.throws(() => scope(fail), { message: 'body' });
  await t.rejects(
    scope(async () => fail()),
    { message: 'body' },
  );
  t.equal(made.length, 2);
  t.ok(made.every((x) => x.disposed));
});

onEveryDevice(t, 'work that outlives its scope belongs to the one around it', async (t, device) => {
  let late: Tensor | undefined;
  await scope(async () => {
    let straggler: Promise<void> | undefined;
    scope(() => {
      straggler = new Promise<void>((done) => setImmediate(done)).then(() => {
        late = make(device);
      });
      return 0;
    });
    await straggler;
    t.equal(late?.disposed, false);
  });
  t.equal(late?.disposed, true);
});

onEveryDevice(t, 'an owner keeps its parts and is freed in their place', async (t, device) => {
  class Owner {
    disposed = false;
    readonly parts = [keep(make(device)), keep(make(device))];
    constructor() {
      adopt(this);
    }
    dispose() {
      this.disposed = true;
      for (const part of this.parts) part.dispose();
    }
  }
  const returned = scope(() => new Owner());
  t.notOk(returned.disposed);
  t.notOk(returned.parts.some((p) => p.disposed));
  let dropped: Owner | undefined;
  scope(() => {
    dropped = new Owner();
  });
  t.ok(dropped?.disposed);
  t.ok(dropped?.parts.every((p) => p.disposed));
  returned.dispose();
});

t.test('the body must be a function', async (t) => {
  t.throws(() => scope(5 as unknown as () => void), {
    code: 'InvalidArgument',
    message: 'Expected a function for parameter body but received 5 of type number',
  });
});
