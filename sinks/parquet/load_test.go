package parquet

import (
	"math/rand/v2"

	"github.com/perfpipe/perfpipe"
)

// load makes batches like those of a busy machine, the same ones for the same seed.
type load struct {
	table *perfpipe.Table
	fill  func(b *perfpipe.Batch, rows int, seed uint64)
}

func lead(cols ...perfpipe.ColumnDef) []perfpipe.ColumnDef {
	return append([]perfpipe.ColumnDef{
		{Name: "time", Type: perfpipe.TypeTimestamp, Hint: perfpipe.HintSorted},
		{Name: "ts", Type: perfpipe.TypeInt64, Hint: perfpipe.HintSorted},
		{Name: "cpu", Type: perfpipe.TypeUint16, Hint: perfpipe.HintFew},
		{Name: "pid", Type: perfpipe.TypeInt32},
		{Name: "tid", Type: perfpipe.TypeInt32},
		{Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
	}, cols...)
}

func (l load) batch(rows int, seed uint64) *perfpipe.Batch {
	b := perfpipe.NewBatch(l.table, rows)
	l.fill(b, rows, seed)
	b.Rows = rows
	b.MinTime, b.MaxTime = int64(b.Columns[1].Int(0)), int64(b.Columns[1].Int(rows-1))
	return b
}

// clockAt fills time, ts and cpu.
func clockAt(b *perfpipe.Batch, r *rand.Rand, ts *int64, gap int64) {
	*ts += gap/2 + r.Int64N(gap)
	b.Columns[0].AppendInt(uint64(1764000000000000 + *ts/1000))
	b.Columns[1].AppendInt(uint64(*ts))
}

// loopLoad is raw_syscalls:sys_enter of one task that calls getppid in a loop:
// the arguments are whatever the registers held, the same each time.
func loopLoad() load {
	t := &perfpipe.Table{Name: "raw_syscalls.sys_enter", Columns: lead(
		perfpipe.ColumnDef{Name: "id", Type: perfpipe.TypeInt64},
		perfpipe.ColumnDef{Name: "args", Type: perfpipe.TypeList, Elem: perfpipe.TypeUint64})}
	return load{t, func(b *perfpipe.Batch, rows int, seed uint64) {
		r, ts, c := rand.New(rand.NewPCG(1, seed)), int64(3e12+seed*1e9), b.Columns
		for range rows {
			clockAt(b, r, &ts, 300)
			c[2].AppendInt(1)
			c[3].AppendInt(4711)
			c[4].AppendInt(4711)
			c[5].AppendString("getppid")
			c[6].AppendInt(110)
			for _, a := range []uint64{0, 0x7ffd3a5c1000, 0x7f2b8c3d4e90, 1, 0x55d0c0ffee00, 0xffffffffffffff9c} {
				c[7].Child.AppendInt(a)
			}
			c[7].EndList()
		}
	}}
}

// mixLoad is raw_syscalls:sys_enter of a machine with two hundred tasks: file
// descriptors, lengths, flags, and addresses of heaps and stacks.
func mixLoad() load {
	l := loopLoad()
	return load{l.table, func(b *perfpipe.Batch, rows int, seed uint64) {
		r, ts, c := rand.New(rand.NewPCG(3, seed)), int64(3e12+seed*1e9), b.Columns
		for range rows {
			task := r.Uint64N(200)
			heap := 0x550000000000 + task<<24
			clockAt(b, r, &ts, 2000)
			c[2].AppendInt(task % 8)
			c[3].AppendInt(1000 + task/4)
			c[4].AppendInt(1000 + task)
			c[5].AppendString([]string{"nginx", "postgres", "kworker/3:1", "containerd-shim", "bash"}[task%5])
			c[6].AppendInt([]uint64{0, 1, 3, 202, 232, 257, 270}[r.Uint64N(7)])
			for _, a := range []uint64{r.Uint64N(64), heap + r.Uint64N(1<<20)&^7, 1 << r.Uint64N(16), r.Uint64N(4), 0x7f0000000000 + task<<28 + r.Uint64N(1<<13), heap} {
				c[7].Child.AppendInt(a)
			}
			c[7].EndList()
		}
	}}
}

// switchLoad is sched:sched_switch.
func switchLoad() load {
	t := &perfpipe.Table{Name: "sched.sched_switch", Columns: lead(
		perfpipe.ColumnDef{Name: "prev_comm", Type: perfpipe.TypeString},
		perfpipe.ColumnDef{Name: "prev_pid", Type: perfpipe.TypeInt32},
		perfpipe.ColumnDef{Name: "prev_prio", Type: perfpipe.TypeInt32},
		perfpipe.ColumnDef{Name: "prev_state", Type: perfpipe.TypeInt64},
		perfpipe.ColumnDef{Name: "next_comm", Type: perfpipe.TypeString},
		perfpipe.ColumnDef{Name: "next_pid", Type: perfpipe.TypeInt32},
		perfpipe.ColumnDef{Name: "next_prio", Type: perfpipe.TypeInt32})}
	return load{t, func(b *perfpipe.Batch, rows int, seed uint64) {
		r, ts, c := rand.New(rand.NewPCG(5, seed)), int64(3e12+seed*1e9), b.Columns
		names := []string{"nginx", "postgres", "kworker/3:1", "containerd-shim", "bash", "swapper/0", "ksoftirqd/2"}
		var on [8]uint64
		for range rows {
			cpu, next := r.Uint64N(8), r.Uint64N(600)
			prev := on[cpu]
			on[cpu] = next
			clockAt(b, r, &ts, 3000)
			c[2].AppendInt(cpu)
			c[3].AppendInt(prev / 3)
			c[4].AppendInt(prev)
			c[5].AppendString(names[prev%7])
			c[6].AppendString(names[prev%7])
			c[7].AppendInt(prev)
			c[8].AppendInt(120 - prev%3*10)
			c[9].AppendInt(prev % 2)
			c[10].AppendString(names[next%7])
			c[11].AppendInt(next)
			c[12].AppendInt(120 - next%3*10)
		}
	}}
}
