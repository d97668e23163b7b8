import duckdb from '@duckdb/node-api';
import { Tally, micros } from './values.mjs';

export const name = 'DuckDB';
export const formats = ['parquet'];
export const operators = { scalar: ['=', '<', '>'], list: ['=', '<', '>', 'has'] };

const types = {
  int8: 'TINYINT', int16: 'SMALLINT', int32: 'INTEGER', int64: 'BIGINT',
  uint8: 'UTINYINT', uint16: 'USMALLINT', uint32: 'UINTEGER', uint64: 'UBIGINT',
  bool: 'BOOLEAN', string: 'VARCHAR', timestamp: 'TIMESTAMP WITH TIME ZONE',
};

const identifier = (s) => `"${s.replaceAll('"', '""')}"`;
const text = (s) => `('${s.replaceAll("'", "''").replaceAll('\0', "' || chr(0) || '")}')`;

function literal(type, elem, v) {
  if (type === 'list') return `[${v.map((e) => literal(elem, undefined, e)).join(', ')}]::${types[elem]}[]`;
  if (type === 'string') return text(v);
  if (type === 'bool') return `${v}`;
  if (type === 'timestamp') return `TIMESTAMPTZ '${micros(v)}+00'`;
  return `'${v}'::${types[type]}`;
}

export async function open(path) {
  const instance = await duckdb.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const from = `FROM read_parquet(${text(path)})`;
  const columns = async (sql) => (await connection.runAndReadAll(sql)).getColumnsJson();
  return {
    async rows() {
      return Number((await columns(`SELECT count(*) ${from}`))[0][0]);
    },
    async types() {
      const [names, kinds] = await columns(`SELECT column_name, column_type FROM (DESCRIBE SELECT * ${from})`);
      return Object.fromEntries(names.map((n, i) => [n, kinds[i]]));
    },
    expectedType: (c) => (c.type === 'list' ? `${types[c.elem]}[]` : types[c.type]),
    async values(c) {
      const expression = c.type === 'timestamp' ? `epoch_us(${identifier(c.name)})` : identifier(c.name);
      return (await columns(`SELECT ${expression} ${from}`))[0] ?? [];
    },
    async filter(c, op, pivot, key) {
      const column = identifier(c.name);
      const where = op === 'has'
        ? `list_contains(${column}, ${literal(c.elem, undefined, pivot)})`
        : `${column} ${op} ${literal(c.type, c.elem, pivot)}`;
      const sums = key === undefined ? '0, 0' : `sum(${identifier(key)})::VARCHAR, bit_xor(${identifier(key)})::VARCHAR`;
      const [count, sum, xor] = await columns(`SELECT count(*), ${sums} ${from} WHERE ${where}`);
      return Tally.of(count[0], sum[0], xor[0]);
    },
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}
