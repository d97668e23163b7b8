import fs from 'node:fs';
import pl from 'nodejs-polars';
import { Tally } from './values.mjs';

export const name = 'Polars';
export const formats = ['parquet', 'arrow', 'arrows'];
export const operators = { scalar: ['=', '<', '>'], list: ['has'] };

const types = {
  int8: pl.Int8, int16: pl.Int16, int32: pl.Int32, int64: pl.Int64,
  uint8: pl.UInt8, uint16: pl.UInt16, uint32: pl.UInt32, uint64: pl.UInt64,
  bool: pl.Bool, string: pl.String, timestamp: pl.Datetime('us', 'UTC'),
};

// Literals that JavaScript's number cannot hold go by way of their text.
function literal(type, v) {
  if (type === 'string' || type === 'bool') return pl.lit(v);
  if (type === 'timestamp') return pl.lit(`${v}`).cast(pl.Int64).cast(types.timestamp);
  return pl.lit(`${v}`).cast(types[type]);
}

export async function open(path, format) {
  // Parquet and IPC files are scanned, so that a filter is pushed down to them.
  const scan = () => {
    if (format === 'parquet') return pl.scanParquet(path);
    if (format === 'arrow') return pl.scanIPC(path);
    return pl.readIPCStream(fs.readFileSync(path)).lazy();
  };
  const empty = scan().limit(0).collectSync();
  const schema = Object.fromEntries(Object.entries(empty.schema).map(([n, t]) => [n, t.toString()]));
  return {
    rows: async () => (await scan().select(pl.len().alias('n')).collect()).getColumn('n').get(0),
    types: async () => schema,
    expectedType: (c) => (c.type === 'list' ? pl.List(types[c.elem]) : instance(types[c.type])).toString(),
    async values(c) {
      let expression = pl.col(c.name);
      if (c.type === 'list') {
        if (c.elem !== 'string') expression = expression.cast(pl.List(pl.Utf8));
      } else if (c.type === 'timestamp') {
        expression = expression.cast(pl.Int64).cast(pl.Utf8);
      } else if (c.type !== 'bool' && c.type !== 'string') {
        expression = expression.cast(pl.Utf8);
      }
      return (await scan().select(expression).collect()).getColumn(c.name).toArray();
    },
    async filter(c, op, pivot, key) {
      const column = pl.col(c.name);
      const value = literal(op === 'has' ? c.elem : c.type, pivot);
      const where = { '=': () => column.eq(value), '<': () => column.lt(value), '>': () => column.gt(value), has: () => column.lst.contains(value) }[op]();
      const name = key ?? c.name;
      const rows = await scan().filter(where).select(key === undefined ? pl.col(name) : pl.col(name).cast(pl.Utf8)).collect();
      if (key === undefined) return Tally.of(rows.height);
      const tally = new Tally();
      for (const k of rows.getColumn(name).toArray()) tally.add(BigInt(k));
      return tally;
    },
    close() {},
  };
}

// instance makes a type of what may be its constructor.
function instance(type) {
  return typeof type === 'function' ? type() : type;
}
