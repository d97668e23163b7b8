// arrow-js reads the IPC formats itself, and Parquet through parquet-wasm (the
// Rust parquet crate), which hands it an IPC stream.
import fs from 'node:fs';
import { DataType, tableFromIPC } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import { Tally, compareUnits, matches, normal } from './values.mjs';

export const arrowjs = {
  name: 'arrow-js',
  formats: ['arrow', 'arrows'],
  operators: { scalar: ['=', '<', '>'], list: ['=', 'has'] },
  utf16: true,
  open: async (path) => wrap(tableFromIPC(fs.readFileSync(path))),
};

export const parquetWasm = {
  name: 'parquet-wasm',
  formats: ['parquet'],
  operators: { scalar: ['=', '<', '>'], list: ['=', 'has'] },
  utf16: true,
  open: async (path) => wrap(tableFromIPC(readParquet(fs.readFileSync(path)).intoIPCStream())),
};

function typeOf(type) {
  if (DataType.isList(type)) return `list of ${typeOf(type.children[0].type)}`;
  return `${type}`;
}

const names = {
  int8: 'Int8', int16: 'Int16', int32: 'Int32', int64: 'Int64',
  uint8: 'Uint8', uint16: 'Uint16', uint32: 'Uint32', uint64: 'Uint64',
  bool: 'Bool', string: 'Utf8', timestamp: 'Timestamp<MICROSECOND, UTC>',
};

function wrap(table) {
  // Filters go over the values as arrow-js gives them, one read for all of them.
  const read = new Map();
  const valuesOf = (c) => {
    if (!read.has(c.name)) read.set(c.name, decode(table.getChild(c.name), c).map((v) => normal(c, v)));
    return read.get(c.name);
  };
  return {
    rows: async () => table.numRows,
    types: async () => Object.fromEntries(table.schema.fields.map((f) => [f.name, typeOf(f.type)])),
    expectedType: (c) => (c.type === 'list' ? `list of ${names[c.elem]}` : names[c.type]),
    values: async (c) => decode(table.getChild(c.name), c),
    async filter(c, op, pivot, key) {
      const keys = key === undefined ? undefined : valuesOf({ name: key, type: 'int64' });
      const tally = new Tally();
      valuesOf(c).forEach((v, i) => {
        if (matches(v, op, pivot, compareUnits)) tally.add(keys === undefined ? 0n : keys[i]);
      });
      return tally;
    },
    close() {},
  };
}

function decode(vector, c) {
  if (c.type === 'timestamp') {
    // get() gives milliseconds as a float, which drops digits: read the integers.
    return vector.data.flatMap((d) => Array.from({ length: d.length }, (_, i) => (d.getValid(i) ? d.values[i] : null)));
  }
  return Array.from(vector, (v) => (c.type === 'list' && v !== null ? Array.from(v) : v));
}
