// How benches are run one after the other: what is measured is printed and kept, whatever fails. Nothing is measured.
import t from 'tap';

type Row = Record<string, string | number | null>;
interface BenchFile {
  bench(): AsyncGenerator<Row>;
  needsAddon?(): { code: number } | undefined;
}
const of = (file: string) => new URL(`../../bench/${file}`, import.meta.url).href;
const { runBenches, JsonRows } = (await import(of('run.ts'))) as {
  runBenches(
    names: string[],
    options: object,
    run: {
      load(name: string): Promise<BenchFile>;
      pause(): Promise<void>;
      report(row: Row): void;
    },
  ): Promise<{ code: number; elsewhere: boolean }>;
  JsonRows: new (write: (text: string) => void) => { add(row: Row): void; end(): void };
};

async function* rows(...names: string[]): AsyncGenerator<Row> {
  for (const name of names) yield { name };
}
async function* broken(): AsyncGenerator<Row> {
  yield { name: 'b/1' };
  throw new Error('no such peer');
}
const files: Record<string, BenchFile> = {
  a: { bench: () => rows('a/1', 'a/2') },
  b: { bench: broken },
  c: { bench: () => rows('c/1') },
  d: { bench: () => rows('never'), needsAddon: () => ({ code: 3 }) },
};

/** Runs benches and keeps what they tell, and what goes to stdout as JSON. */
async function run(...names: string[]) {
  const log: Row[] = [];
  let text = '';
  const json = new JsonRows((part) => {
    text += part;
  });
  const error = console.error;
  console.error = () => {};
  try {
    const ended = await runBenches(
      names,
      {},
      {
        async load(name) {
          const file = files[name];
          if (!file) throw new Error(`Cannot find ${name}`);
          return file;
        },
        async pause() {},
        report(row) {
          log.push(row);
          json.add(row);
        },
      },
    );
    const kept = text;
    json.end();
    return { ...ended, log, kept, text };
  } finally {
    console.error = error;
  }
}

t.test('all rows of all benches', async (t) => {
  const { code, log, text } = await run('a', 'c');
  t.equal(code, 0);
  t.same(JSON.parse(text), [{ name: 'a/1' }, { name: 'a/2' }, { name: 'c/1' }]);
  t.same(JSON.parse(text), log);
});

t.test('a bench that fails is a row, and the others go on', async (t) => {
  const { code, log, text } = await run('a', 'b', 'lost', 'c');
  t.equal(code, 1);
  t.same(
    log.map(({ name }) => name),
    ['a/1', 'a/2', 'b/1', 'b/failed', 'lost/failed', 'c/1'],
  );
  t.match(log[3], { median_s: null, failure: 'no such peer' });
  t.match(log[4], { failure: 'Cannot find lost' });
  t.same(JSON.parse(text), log, 'still one valid array');
});

t.test('rows are written as they come', async (t) => {
  const { kept } = await run('a');
  t.same(JSON.parse(`${kept}]`), [{ name: 'a/1' }, { name: 'a/2' }], 'all but the last bracket');
  const { text } = await run();
  t.same(JSON.parse(text), []);
});

t.test('another process prints its own rows', async (t) => {
  const { code, elsewhere, log } = await run('d');
  t.same([code, elsewhere, log], [3, true, []]);
});

t.test('calls that are compared take each place of a round as often', async (t) => {
  const { orderOf } = (await import(of('sampling.ts'))) as {
    orderOf(count: number, round: number): number[];
  };
  t.same(
    [0, 1, 2, 3].map((round) => orderOf(3, round).join('')),
    ['012', '120', '201', '012'],
  );
  t.same(orderOf(1, 5), [0]);
});
