import fs from 'node:fs';
import { parquetMetadataAsync, parquetQuery, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { Tally, integers } from './values.mjs';

export const name = 'hyparquet';
export const formats = ['parquet'];
export const operators = { scalar: ['=', '<', '>'], list: [] };
// Its filters compare text as JavaScript does.
export const utf16 = true;

// hyparquet makes dates of timestamps, which hold milliseconds: keep the integer.
const parsers = { timestampFromMicroseconds: (us) => us };

const is64 = (type) => type === 'timestamp' || type === 'int64' || type === 'uint64';

function typeOf(element) {
  const { type, logical_type: logical } = element;
  if (logical?.type === 'INTEGER') return `${logical.isSigned ? 'int' : 'uint'}${logical.bitWidth}`;
  if (logical?.type === 'TIMESTAMP') return `timestamp ${logical.unit} ${logical.isAdjustedToUTC ? 'UTC' : 'local'}`;
  if (logical?.type === 'STRING') return 'string';
  return { BOOLEAN: 'bool', INT32: 'int32', INT64: 'int64' }[type] ?? type;
}

export async function open(path) {
  const bytes = fs.readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const metadata = await parquetMetadataAsync(file, { parsers });
  const options = { file, metadata, compressors, parsers };
  return {
    rows: async () => Number(metadata.num_rows),
    async types() {
      const out = {};
      const [root, ...rest] = metadata.schema;
      for (let i = 0, n = 0; n < root.num_children; n++, i++) {
        const top = rest[i];
        if (top.num_children === undefined) {
          out[top.name] = typeOf(top);
          continue;
        }
        // A list is three levels: the column, its repeated group, the element.
        i += 2;
        out[top.name] = `list of ${typeOf(rest[i])}`;
      }
      return out;
    },
    // columns tells what the file says of itself, in the words of expect.json.
    async columns() {
      const types = await this.types();
      const optional = new Set(metadata.schema.filter((e) => e.repetition_type === 'OPTIONAL').map((e) => e.name));
      return Object.entries(types).map(([column, type]) => {
        const [, list, one] = /^(list of )?(\w+)/.exec(type);
        return { name: column, type: list ? 'list' : one, elem: list && one, nullable: optional.has(column) };
      });
    },
    expectedType: (c) => (c.type === 'list' ? `list of ${c.elem}` : c.type === 'timestamp' ? 'timestamp MICROS UTC' : c.type),
    async values(c) {
      const rows = await parquetReadObjects({ ...options, columns: [c.name] });
      return rows.map((r) => r[c.name]);
    },
    async filter(c, op, pivot, key) {
      const value = c.type in integers && !is64(c.type) ? Number(pivot) : pivot;
      const operator = { '=': '$eq', '<': '$lt', '>': '$gt' }[op];
      const rows = await parquetQuery({
        ...options, columns: [...new Set([key ?? c.name, c.name])], filter: { [c.name]: { [operator]: value } },
      });
      if (key === undefined) return Tally.of(rows.length);
      const tally = new Tally();
      for (const r of rows) tally.add(BigInt(r[key]));
      return tally;
    },
    close() {},
  };
}
