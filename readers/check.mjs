// check.mjs DIR reads DIR/expect.json and every file that it lists with every
// reader that knows the file's format, and compares: the number of rows, the type
// and the values of every column, and the rows that every column lets through
// when it is compared by = < > with values of all kinds. What the right rows are
// is worked out from the expectations alone, row by row.
//
// expect.json:
//   {"tables": {NAME: {"columns": [{"name", "type", "elem", "nullable", "values"}], "values": {COLUMN: [...]}}},
//    "files":  [{"path", "format", "table", "rows"}]}
// Integers and timestamps (microseconds) are decimal strings. Of a table recorded
// live not all of that is known beforehand. Where the columns are missing they are
// those of the table's first Parquet file; their values are those of the table's "values", and
// null in columns that these leave out. Where there are none of these either, they are
// what the first reader found: the other readers have to agree with it.
// "format" is parquet, arrow (an IPC file) or arrows (an IPC stream).
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import * as duckdb from './lib/duckdb.mjs';
import * as chdb from './lib/chdb.mjs';
import * as hyparquet from './lib/hyparquet.mjs';
import * as polars from './lib/polars.mjs';
import { arrowjs, parquetWasm } from './lib/arrow.mjs';
import { Tally, compareBytes, compareUnits, elements, full, matches, normal, pivots, same, show } from './lib/values.mjs';

const readers = [hyparquet, duckdb, chdb, parquetWasm, polars, arrowjs];
const mostFaults = 40;

class Checker {
  constructor(dir, expect) {
    this.dir = dir;
    this.expect = expect;
    this.faults = [];
    this.comparisons = 0;
    this.tallies = new Map();
  }

  fault(reader, file, what) {
    this.faults.push(`${reader.name}: ${file.path}: ${what}`);
  }

  async file(file) {
    const table = await this.table(file);
    const able = readers.filter((r) => r.formats.includes(file.format));
    if (able.length === 0) throw new Error(`${file.path}: no reader for the format ${file.format}`);
    for (const reader of able) {
      const begin = Date.now();
      const before = this.faults.length;
      try {
        const opened = await reader.open(path.join(this.dir, file.path), file.format);
        try {
          await this.read(reader, opened, file, table);
        } finally {
          opened.close();
        }
      } catch (e) {
        this.fault(reader, file, `${e.message ?? e}`);
      }
      const bad = this.faults.length - before;
      console.log(`${bad === 0 ? 'ok  ' : 'FAIL'} ${file.path} with ${reader.name} (${Date.now() - begin} ms)${bad === 0 ? '' : `, ${bad} faults`}`);
    }
  }

  async table(file) {
    const table = this.expect.tables[file.table];
    if (table === undefined) throw new Error(`${file.path}: no table ${file.table} in expect.json`);
    if (table.ready) return table;
    if (table.columns === undefined) {
      table.columns = await (await hyparquet.open(path.join(this.dir, file.path))).columns();
      for (const name of Object.keys(table.values ?? {})) {
        if (!table.columns.some((c) => c.name === name)) throw new Error(`${file.path}: no column ${name}`);
      }
      const nulls = Array(file.rows).fill(null);
      for (const c of table.columns) c.values = table.values && (table.values[c.name] ?? nulls);
    }
    for (const c of table.columns) {
      if (c.values !== undefined) c.normal = c.values.map((v) => normal(c, v));
    }
    // ts tells rows apart where it is there; without it rows are only counted.
    table.key = table.columns.some((c) => c.name === 'ts' && c.type === 'int64' && !c.nullable) ? 'ts' : undefined;
    table.ready = true;
    return table;
  }

  async read(reader, opened, file, table) {
    const rows = await opened.rows();
    if (rows !== file.rows) this.fault(reader, file, `got ${rows} rows, want ${file.rows}`);
    const types = await opened.types();
    const got = Object.keys(types).join(' ');
    const want = table.columns.map((c) => c.name).join(' ');
    if (got !== want) this.fault(reader, file, `columns: got ${got}, want ${want}`);
    for (const c of table.columns) {
      if (types[c.name] !== opened.expectedType(c)) {
        this.fault(reader, file, `type of ${c.name} (${c.type}${c.nullable ? ', nullable' : ''}): got ${types[c.name]}, want ${opened.expectedType(c)}`);
      }
    }
    for (const c of table.columns) await this.values(reader, opened, file, c);
    for (const c of table.columns) await this.filters(reader, opened, file, table, c);
  }

  async values(reader, opened, file, c) {
    const got = Array.from(await opened.values(c), (v) => normal(c, v));
    if (c.normal === undefined) c.normal = got;
    if (got.length !== c.normal.length) {
      this.fault(reader, file, `${c.name}: got ${got.length} values, want ${c.normal.length}`);
      return;
    }
    let wrong = 0;
    for (let i = 0; i < got.length; i++) {
      const want = this.seen(reader, c, c.normal[i]);
      if (!same(got[i], want) && wrong++ === 0) {
        this.fault(reader, file, `${c.name}, row ${i}: got ${show(got[i])}, want ${show(want)}`);
      }
    }
    if (wrong > 1) this.fault(reader, file, `${c.name}: ${wrong} of ${got.length} values differ`);
    this.comparisons += got.length;
  }

  async filters(reader, opened, file, table, c) {
    for (const [op, pivot] of questions(reader, c)) {
      const want = this.tally(reader, table, c, op, pivot);
      let got;
      try {
        got = await opened.filter(c, op, pivot, table.key);
      } catch (e) {
        this.fault(reader, file, `where ${c.name} ${op} ${show(pivot)}: ${e.message ?? e}`);
        continue;
      }
      if (`${got}` !== `${want}`) this.fault(reader, file, `where ${c.name} ${op} ${show(pivot)}: got ${got}, want ${want}`);
      this.comparisons++;
    }
  }

  // seen is the value v of column c as that reader shows it.
  seen(reader, c, v) {
    return v === null && c.type === 'list' && reader.nullListIsEmpty ? [] : v;
  }

  // tally works out the rows of table where `c op pivot`.
  tally(reader, table, c, op, pivot) {
    const id = `${table.columns.indexOf(c)} ${op} ${full(pivot)} ${reader.utf16} ${reader.nullListIsEmpty && c.type === 'list'}`;
    let known = this.tallies.get(table);
    if (known === undefined) this.tallies.set(table, (known = new Map()));
    if (!known.has(id)) {
      const compare = reader.utf16 ? compareUnits : compareBytes;
      const keys = table.key === undefined ? undefined : table.columns.find((k) => k.name === table.key).normal;
      const tally = new Tally();
      for (let i = 0; i < c.normal.length; i++) {
        if (matches(this.seen(reader, c, c.normal[i]), op, pivot, compare)) tally.add(keys === undefined ? 0n : keys[i]);
      }
      known.set(id, tally);
    }
    return known.get(id);
  }
}

// questions are the comparisons that a reader is asked about a column.
function* questions(reader, c) {
  if (c.pivots === undefined) c.pivots = pivots(c, c.normal);
  const operators = c.type === 'list' ? reader.operators.list : reader.operators.scalar;
  for (const op of operators) {
    for (const pivot of op === 'has' ? elements(c, c.normal) : c.pivots) yield [op, pivot];
  }
}

async function main(dir) {
  if (dir === undefined) {
    console.error('usage: node check.mjs DIR');
    return 2;
  }
  const expect = JSON.parse(fs.readFileSync(path.join(dir, 'expect.json'), 'utf8'));
  const checker = new Checker(path.resolve(dir), expect);
  for (const file of expect.files) await checker.file(file);
  for (const f of checker.faults.slice(0, mostFaults)) console.log(`fault: ${f}`);
  if (checker.faults.length > mostFaults) console.log(`and ${checker.faults.length - mostFaults} more`);
  console.log(`${expect.files.length} files, ${checker.comparisons} comparisons, ${checker.faults.length} faults`);
  return checker.faults.length === 0 && checker.comparisons > 0 ? 0 : 1;
}

process.exitCode = await main(process.argv[2]);
