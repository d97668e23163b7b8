package collector

import (
	"slices"

	"github.com/perfpipe/perfpipe"
)

// The tables of perfpipe's own, as every dataset has them.
var (
	lostTable = perfpipe.Table{Name: "_lost", Columns: []perfpipe.ColumnDef{
		{Name: "event", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "cpu", Type: perfpipe.TypeInt32},
		{Name: "from_ts", Type: perfpipe.TypeInt64},
		{Name: "to_ts", Type: perfpipe.TypeInt64},
		{Name: "count", Type: perfpipe.TypeInt64},
		{Name: "reason", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
	}}
	clockTable = perfpipe.Table{Name: "_clock", Columns: []perfpipe.ColumnDef{
		{Name: "mono_ns", Type: perfpipe.TypeInt64},
		{Name: "boot_ns", Type: perfpipe.TypeInt64},
		{Name: "real_ns", Type: perfpipe.TypeInt64},
		{Name: "reason", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
	}}
	tasksTable = perfpipe.Table{Name: "_tasks", Columns: []perfpipe.ColumnDef{
		{Name: "tid", Type: perfpipe.TypeInt32},
		{Name: "pid", Type: perfpipe.TypeInt32},
		{Name: "ppid", Type: perfpipe.TypeInt32},
		{Name: "comm", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "exe", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "cgroup", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "start_ts", Type: perfpipe.TypeInt64, Nullable: true},
		{Name: "end_ts", Type: perfpipe.TypeInt64, Nullable: true},
		{Name: "ns_tid", Type: perfpipe.TypeInt32, Nullable: true},
		{Name: "ns_pid", Type: perfpipe.TypeInt32, Nullable: true},
	}}
	dumpsTable = perfpipe.Table{Name: "_dumps", Columns: []perfpipe.ColumnDef{
		{Name: "ts", Type: perfpipe.TypeInt64},
		{Name: "reason", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "event", Type: perfpipe.TypeString, Nullable: true, Hint: perfpipe.HintFew},
		{Name: "cpu", Type: perfpipe.TypeInt32, Nullable: true},
		{Name: "tid", Type: perfpipe.TypeInt32, Nullable: true},
		{Name: "from_ts", Type: perfpipe.TypeInt64, Nullable: true},
		{Name: "to_ts", Type: perfpipe.TypeInt64, Nullable: true},
		{Name: "rows", Type: perfpipe.TypeInt64},
	}}
	stacksTable = perfpipe.Table{Name: "_stacks", Columns: []perfpipe.ColumnDef{
		{Name: "stack_id", Type: perfpipe.TypeUint64},
		{Name: "pid", Type: perfpipe.TypeInt32},
		{Name: "addresses", Type: perfpipe.TypeList, Elem: perfpipe.TypeUint64},
		{Name: "frames", Type: perfpipe.TypeList, Elem: perfpipe.TypeUint32},
	}}
	framesTable = perfpipe.Table{Name: "_frames", Columns: []perfpipe.ColumnDef{
		{Name: "frame_id", Type: perfpipe.TypeUint32},
		{Name: "kind", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "pid", Type: perfpipe.TypeInt32, Nullable: true, Hint: perfpipe.HintFew},
		{Name: "build_id", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "file", Type: perfpipe.TypeString, Hint: perfpipe.HintFew},
		{Name: "offset", Type: perfpipe.TypeUint64},
		{Name: "symbol", Type: perfpipe.TypeString, Nullable: true},
		{Name: "symbol_offset", Type: perfpipe.TypeUint64, Nullable: true},
		{Name: "source", Type: perfpipe.TypeString, Nullable: true, Hint: perfpipe.HintFew},
		{Name: "line", Type: perfpipe.TypeInt32, Nullable: true},
	}}
)

// ownRows bounds a batch of one of these tables.
const ownRows = 4096

// portable returns t as Options.Portable wants it.
func portable(t *perfpipe.Table, o Options) *perfpipe.Table {
	if !o.Portable {
		return t
	}
	w := *t
	w.Columns = slices.Clone(t.Columns)
	for i := range w.Columns {
		w.Columns[i].Type, w.Columns[i].Elem = widen(w.Columns[i].Type, o), widen(w.Columns[i].Elem, o)
	}
	return &w
}

// own gathers rows of perfpipe's own tables.
type own struct {
	lost, clock, tasks, stacks *perfpipe.Batch
	// dumps is nil where nothing is dumped.
	dumps *perfpipe.Batch
}

func newOwn(stacks *perfpipe.Batch, f Flight) *own {
	o := &own{
		lost:   perfpipe.NewBatch(&lostTable, 64),
		clock:  perfpipe.NewBatch(&clockTable, 64),
		tasks:  perfpipe.NewBatch(&tasksTable, 256),
		stacks: stacks,
	}
	if f != nil {
		o.dumps = perfpipe.NewBatch(&dumpsTable, 4)
	}
	return o
}

func (o *own) addLost(l perfpipe.Loss) {
	c := o.lost.Columns
	c[0].AppendString(l.Event)
	c[1].AppendInt(uint64(l.CPU))
	c[2].AppendInt(uint64(l.From))
	c[3].AppendInt(uint64(l.To))
	c[4].AppendInt(l.Count)
	c[5].AppendString(l.Reason)
	o.lost.Rows++
}

func (o *own) addDump(d perfpipe.Dump) {
	c := o.dumps.Columns
	c[0].AppendInt(uint64(d.Time))
	c[1].AppendString(d.Reason)
	if d.Event == "" {
		c[2].AppendNull()
	} else {
		c[2].AppendString(d.Event)
	}
	for i, v := range []int32{d.CPU, d.TID} {
		if v < 0 {
			c[3+i].AppendNull()
		} else {
			c[3+i].AppendInt(uint64(v))
		}
	}
	for i, v := range []int64{d.From, d.To} {
		if v == 0 {
			c[5+i].AppendNull()
		} else {
			c[5+i].AppendInt(uint64(v))
		}
	}
	c[7].AppendInt(d.Rows)
	o.dumps.Rows++
}

func (o *own) addClock(k perfpipe.Clock) {
	c := o.clock.Columns
	c[0].AppendInt(uint64(k.Mono))
	c[1].AppendInt(uint64(k.Boot))
	c[2].AppendInt(uint64(k.Real))
	c[3].AppendString(k.Reason)
	o.clock.Rows++
}

// addTask reports how many of its strings had to be escaped.
func (o *own) addTask(t perfpipe.Task) (escaped uint64) {
	c := o.tasks.Columns
	for i, v := range []int32{t.TID, t.PID, t.PPID} {
		c[i].AppendInt(uint64(v))
	}
	for i, s := range []string{t.Comm, t.Exe, t.Cgroup} {
		var esc bool
		col := &c[3+i]
		col.Data, esc = perfpipe.AppendText(col.Data, []byte(s))
		if esc {
			escaped++
		}
		col.EndString()
	}
	for i, v := range []int64{t.Start, t.End} {
		if v == 0 {
			c[6+i].AppendNull()
		} else {
			c[6+i].AppendInt(uint64(v))
		}
	}
	for i, v := range []int32{t.NSTID, t.NSPID} {
		if v == 0 {
			c[8+i].AppendNull()
		} else {
			c[8+i].AppendInt(uint64(v))
		}
	}
	o.tasks.Rows++
	return escaped
}

func (o *own) addStack(s *perfpipe.Stack) {
	c := o.stacks.Columns
	c[0].AppendInt(s.ID)
	c[1].AppendInt(uint64(s.PID))
	for _, a := range s.Addrs {
		c[2].Child.AppendInt(a)
	}
	c[2].EndList()
	for _, f := range s.Frames {
		c[3].Child.AppendInt(uint64(f))
	}
	c[3].EndList()
	o.stacks.Rows++
}

// all are the tables that every dataset has, and that of the dumps.
func (o *own) all() []*perfpipe.Batch {
	list := []*perfpipe.Batch{o.lost, o.clock, o.tasks}
	if o.dumps != nil {
		list = append(list, o.dumps)
	}
	return list
}
