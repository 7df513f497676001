import t from 'tap';
import { program } from './child.js';

/** Keeps a device busy for far longer than a test lasts: operations queued by the hundred. */
const busy = `
  const { device, ops } = await import('renvox');
  const d = device('cpu');
  const x = d.full([1, 32, 32, 32, 16], 1), w = d.full([16, 16, 3, 3, 3], 0.01);
  const work = () => { let y = x; for (let i = 0; i < 500; i++) y = ops.conv3d(y, w, { padding: 1 }); return y; };
  const small = d.full([4], 1);
`;

const ended = { code: 0, signal: null, stderr: '' };

t.test('worker.terminate() in the middle of work, 20 times', async (t) => {
  const outcome = await program(
    `for (let i = 0; i < 20; i++) {
       const worker = startWorker();
       worker.on('error', (e) => { console.error(e); process.exit(1); });
       await new Promise((done) => worker.once('message', done));
       await new Promise((done) => setTimeout(done, i % 5));
       await worker.terminate();
     }
     console.log('done');`,
    {
      worker: `${busy}
        const results = [work().data(), small.data(), d.drain()];
        d.tensor(new Float32Array(1 << 20), { borrow: true });
        await results[1];
        parentPort.postMessage('busy');
        await results[0];`,
    },
  );
  t.match(outcome, { ...ended, stdout: 'done\n' });
});

t.test('process.exit() in the middle of work, 20 times', async (t) => {
  const one = (n: number) =>
    program(`${busy}
      const results = [work().data(), d.drain()];
      d.tensor(new Float32Array(1 << 20), { borrow: true });
      await small.data();
      setTimeout(() => process.exit(${n % 3}), ${n % 5});
      await results[0];`);
  for (let i = 0; i < 20; i += 2) {
    const outcomes = await Promise.all([one(i), one(i + 1)]);
    for (const [k, outcome] of outcomes.entries())
      t.match(outcome, { ...ended, code: (i + k) % 3 });
  }
});

t.test('process.exit() of a worker, and of the main thread under busy workers', async (t) => {
  const own = await program(
    `const exit = () => new Promise((done) => startWorker().once('exit', done));
     console.log((await Promise.all([exit(), exit(), exit()])).join());`,
    { worker: `${busy} const y = work().data(); await small.data(); process.exit(3); await y;` },
  );
  t.match(own, { ...ended, stdout: '3,3,3\n' });
  const all = await program(
    `${busy}
     const mine = work().data();
     const message = () => new Promise((done) => startWorker().once('message', done));
     await Promise.all([message(), message(), message()]);
     process.exit(4);`,
    {
      worker: `${busy} const y = work().data(); await small.data(); parentPort.postMessage(0); await y;`,
    },
  );
  t.match(all, { ...ended, code: 4 });
});

t.test('workers that alone load the addon come and go; then the main thread', async (t) => {
  const outcome = await program(
    `const one = () => new Promise((done, fail) => {
       let value;
       startWorker().on('message', (v) => { value = v; }).on('error', fail).on('exit', () => done(value));
     });
     const values = [];
     for (let i = 0; i < 3; i++) values.push(...await Promise.all([one(), one(), one()]));
     const { device, ops } = await import('renvox');
     const d = device('cpu');
     values.push(...await Promise.all([d.full([1], 9).item(), one(), d.full([1], 8).item(), one()]));
     console.log(values.join());`,
    {
      worker: `
        const { device, ops } = await import('renvox');
        const x = device('cpu').full([1 << 21], 1);
        parentPort.postMessage((await ops.add(x, x).data())[5]);`,
    },
  );
  t.match(outcome, { ...ended, stdout: '2,2,2,2,2,2,2,2,2,9,2,8,2\n' });
});

t.test('what keeps a process alive', async (t) => {
  const pending = await program(`${busy}
    ops.conv3d(x, w, { padding: 1 }).data().then((v) => console.log(v.length));`);
  t.match(pending, { ...ended, stdout: '524288\n' }, 'a read that is pending');
  const drained = await program(`${busy}
    ops.conv3d(x, w, { padding: 1 });
    d.drain().then(() => console.log('drained'));`);
  t.match(drained, { ...ended, stdout: 'drained\n' }, 'a drain');
  const idle = await program(`${busy} console.log((await small.data()).join());`);
  t.match(idle, { ...ended, stdout: '1,1,1,1\n' }, 'not an idle device');
  const unread = await program(`${busy} work(); console.log('end');`);
  t.match(unread, { ...ended, stdout: 'end\n' }, 'nor work that nobody reads');
});

t.test('dispose() in the middle of an operation, and devices that are forgotten', async (t) => {
  const outcome = await program(
    `import { setTimeout as sleep } from 'node:timers/promises';
     const codes = new Set();
     const stop = async (after) => {
       ${busy}
       const result = work().data().catch((e) => codes.add(e.code));
       await small.data();
       await sleep(after);
       d.dispose();
       await result;
     };
     for (let i = 0; i < 10; i++) await stop(i);
     console.log([...codes].join());
     const { device, liveBytes, ops } = await import('renvox');
     const forget = () => {
       let y = device('cpu').full([1 << 20], 1);
       for (let k = 0; k < 50; k++) y = ops.add(y, y);
     };
     for (let i = 0; i < 10; i++) forget();
     for (let i = 0; i < 20 && liveBytes() > 0; i++) { gc(); await sleep(10); }
     console.log(liveBytes());`,
    { flags: ['--expose-gc'] },
  );
  t.match(outcome, { ...ended, stdout: 'DisposedError\n0\n' });
});
