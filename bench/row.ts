/** One measured case: its name, such as `conv3d/128^3 16->16`, and its figures by name with the unit in the name. */
export interface Row {
  readonly name: string;
  readonly [figure: string]: string | number | null;
}

/** What a file `bench/<name>.bench.ts` exports as `bench`: it measures its cases one after the other. */
export type Bench = () => AsyncIterable<Row>;
