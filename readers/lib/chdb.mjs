import { query } from 'chdb';
import { Tally } from './values.mjs';

export const name = 'ClickHouse (chdb)';
export const formats = ['parquet', 'arrow', 'arrows'];
export const operators = { scalar: ['=', '<', '>'], list: ['=', '<', '>', 'has'] };
// ClickHouse has no Nullable(Array): a list that is null reads as an empty one.
export const nullListIsEmpty = true;

const engines = { parquet: 'Parquet', arrow: 'Arrow', arrows: 'ArrowStream' };
const types = {
  int8: 'Int8', int16: 'Int16', int32: 'Int32', int64: 'Int64',
  uint8: 'UInt8', uint16: 'UInt16', uint32: 'UInt32', uint64: 'UInt64',
  bool: 'Bool', string: 'String', timestamp: "DateTime64(6, 'UTC')",
};

const quote = (s, mark) => mark + s.replaceAll('\\', '\\\\').replaceAll(mark, `\\${mark}`).replaceAll('\0', '\\0') + mark;
const identifier = (s) => quote(s, '`');
const text = (s) => quote(s, "'");

function literal(type, elem, v) {
  if (type === 'list') return `CAST([${v.map((e) => literal(elem, undefined, e)).join(', ')}] AS Array(${types[elem]}))`;
  if (type === 'string') return text(v);
  if (type === 'bool') return `${v}`;
  if (type === 'timestamp') return `fromUnixTimestamp64Micro(toInt64('${v}'), 'UTC')`;
  return `to${types[type]}('${v}')`;
}

export async function open(path, format) {
  const from = `FROM file(${text(path)}, '${engines[format]}')`;
  const columns = (sql) => JSON.parse(query(`${sql} SETTINGS output_format_json_quote_64bit_integers = 1, input_format_parquet_preserve_order = 1, max_threads = 1`, 'JSONCompactColumns'));
  return {
    rows: async () => Number(columns(`SELECT count() ${from}`)[0][0]),
    async types() {
      const [names, kinds] = columns(`DESCRIBE TABLE file(${text(path)}, '${engines[format]}')`);
      return Object.fromEntries(names.map((n, i) => [n, kinds[i]]));
    },
    expectedType(c) {
      if (c.type === 'list') return `Array(${types[c.elem]})`;
      return c.nullable ? `Nullable(${types[c.type]})` : types[c.type];
    },
    async values(c) {
      const expression = c.type === 'timestamp' ? `toUnixTimestamp64Micro(${identifier(c.name)})` : identifier(c.name);
      return columns(`SELECT ${expression} ${from}`)[0] ?? [];
    },
    async filter(c, op, pivot, key) {
      const column = identifier(c.name);
      const where = op === 'has'
        ? `has(${column}, ${literal(c.elem, undefined, pivot)})`
        : `${column} ${op} ${literal(c.type, c.elem, pivot)}`;
      const sums = key === undefined ? "'0', '0'" : `toString(sum(toInt128(${identifier(key)}))), toString(groupBitXor(${identifier(key)}))`;
      const [count, sum, xor] = columns(`SELECT count(), ${sums} ${from} WHERE ${where}`);
      return Tally.of(count[0], sum[0], xor[0]);
    },
    close() {},
  };
}
