// What a value is, whichever reader it came from: integers and timestamps
// (microseconds since 1970) are BigInt, booleans boolean, text string, lists
// arrays of these, and nothing is null.

export const integers = {
  int8: [-(2n ** 7n), 2n ** 7n - 1n],
  int16: [-(2n ** 15n), 2n ** 15n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0n, 2n ** 8n - 1n],
  uint16: [0n, 2n ** 16n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  timestamp: [-(2n ** 63n), 2n ** 63n - 1n],
};

// normal makes v, of a reader's or of the expectations' own kind, what the
// comment above says. It refuses what cannot be a value of that type, so that
// a reader which gives a string for a number is found out.
export function normal(column, v) {
  return normalAs(column.type, column.elem, v);
}

function normalAs(type, elem, v) {
  if (v === null || v === undefined) return null;
  switch (type) {
    case 'bool':
      if (typeof v !== 'boolean') throw new Error(`a bool is ${show(v)}`);
      return v;
    case 'string':
      if (typeof v !== 'string') throw new Error(`a string is ${show(v)}`);
      return v;
    case 'list':
      return Array.from(v, (e) => normalAs(elem, undefined, e));
    default: {
      if (typeof v === 'number' && !Number.isSafeInteger(v)) throw new Error(`the ${type} ${v} has lost digits`);
      const n = BigInt(v);
      const [min, max] = integers[type];
      if (n < min || n > max) throw new Error(`${n} is no ${type}`);
      return n;
    }
  }
}

// same compares two normal values.
export function same(a, b) {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((e, i) => same(e, b[i]));
  }
  return a === b;
}

// compareBytes orders text by its UTF-8 bytes, as databases and Parquet's
// statistics do; compareUnits by its UTF-16 units, as JavaScript does.
export function compareBytes(a, b) {
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return compareUnits(a, b);
}

export function compareUnits(a, b) {
  if (Array.isArray(a)) {
    for (let i = 0; i < a.length && i < b.length; i++) {
      const c = compareUnits(a[i], b[i]);
      if (c !== 0) return c;
    }
    return a.length - b.length;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

// matches says whether a row with the value v is among those where `v op pivot`.
export function matches(v, op, pivot, compare) {
  if (v === null) return false;
  switch (op) {
    case '=':
      return same(v, pivot);
    case '<':
      return compare(v, pivot) < 0;
    case '>':
      return compare(v, pivot) > 0;
    case 'has':
      return v.includes(pivot);
  }
  throw new Error(`no operator ${op}`);
}

// pivots returns the values that a column is compared with: the smallest, the
// largest and some between, what lies just outside, and the type's own ends.
export function pivots(column, values) {
  if (column.type === 'bool') return [false, true];
  const sorted = values.filter((v) => v !== null).sort(compareBytes);
  const out = [];
  const add = (v) => {
    if (!out.some((o) => same(o, v))) out.push(v);
  };
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    if (sorted.length > 0) add(sorted[Math.round((sorted.length - 1) * part)]);
  }
  if (column.type === 'list') return out.slice(0, 3);
  if (column.type === 'string') {
    add('');
    add('a');
    add('~');
    const awkward = sorted.find((s) => /[\\'"]/.test(s));
    if (awkward !== undefined) add(awkward);
    return out;
  }
  if (column.type === 'timestamp') {
    // Calendars of readers end at different years, so only times near those there.
    if (sorted.length > 0) {
      add(sorted[0] - 1n);
      add(sorted[sorted.length - 1] + 1n);
    }
    return out;
  }
  const [min, max] = integers[column.type];
  add(min);
  add(max);
  add(0n);
  add(max / 2n + 1n);
  if (sorted.length > 0) {
    if (sorted[0] > min) add(sorted[0] - 1n);
    if (sorted[sorted.length - 1] < max) add(sorted[sorted.length - 1] + 1n);
  }
  return out;
}

// elements returns some values that occur in the lists of a column, and one that
// need not.
export function elements(column, values) {
  const out = [];
  for (const v of values) {
    if (v !== null && v.length > 0 && !out.includes(v[v.length - 1])) out.push(v[v.length - 1]);
    if (out.length === 3) break;
  }
  if (column.elem === 'string') out.push('nowhere');
  else out.push(integers[column.elem][1]);
  return [...new Set(out)];
}

// Tally takes the keys of the rows that a filter let through and comes to the
// same three numbers for the same rows, in whatever order.
export class Tally {
  constructor() {
    this.count = 0n;
    this.sum = 0n;
    this.xor = 0n;
  }

  add(key) {
    this.count++;
    this.sum += key;
    this.xor ^= key;
  }

  toString() {
    return `${this.count} rows, sum of keys ${this.sum}, xor ${this.xor}`;
  }

  static of(count, sum, xor) {
    const t = new Tally();
    t.count = BigInt(count);
    t.sum = BigInt(sum ?? 0);
    t.xor = BigInt(xor ?? 0);
    return t;
  }
}

// full writes a value out, show as much of it as a message bears.
export function full(v) {
  return JSON.stringify(v, (_, e) => (typeof e === 'bigint' ? `${e}` : e)) ?? String(v);
}

export function show(v) {
  const text = full(v);
  return `${text.length > 120 ? `${text.slice(0, 120)}...` : text} (${Array.isArray(v) ? 'list' : typeof v})`;
}

// micros writes microseconds since 1970 as 2026-01-02 03:04:05.000006.
export function micros(us) {
  let rest = us % 1000000n;
  let seconds = us / 1000000n;
  if (rest < 0n) {
    rest += 1000000n;
    seconds--;
  }
  const date = new Date(Number(seconds) * 1000).toISOString().replace('T', ' ').slice(0, 19);
  return `${date}.${String(rest).padStart(6, '0')}`;
}
