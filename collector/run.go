package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/perfpipe/perfpipe"
)

// Config is one run.
type Config struct {
	// Source is read until it ends or the context does. Run stops and does not close it.
	Source perfpipe.Source
	// Filters are by event, as Source.Schemas: a record becomes a row where any of
	// its event's programs lets it through, or where it has none.
	Filters [][]Filter
	// FaultName names the faults that Filters and SourceFaults report; it is needed
	// where they do.
	FaultName func(fault uint8) string
	// SourceFaults returns how often a filter that Source itself runs for an event faulted,
	// by the number of the fault. It is asked when Source has been read to its end, and
	// may be nil.
	SourceFaults func(event int) []uint64
	// Outputs are written to in their order; Run closes them.
	Outputs []Output
	// Meta is the key-value metadata of each event's table, by event.
	Meta []map[string]string
	// Columns say how the columns look.
	Columns Options
	// Symbolizer names the frames of stacks, and may be nil. It may be a [Loader] as
	// well. The writing goroutine calls it, and after Run has returned nobody does.
	Symbolizer Symbolizer
	// Clock reads the clocks; nil for a source whose time is not this machine's, then
	// Start is taken for the whole run.
	Clock func() perfpipe.Clock
	// Start is the clock at the beginning.
	Start perfpipe.Clock
	// KeepEmpty says by event whether its table is made although it has no rows.
	KeepEmpty []bool
	// Rotate finishes files and begins new ones.
	Rotate Rotate
	// MaxBytes ends the run when an output has written so much, 0 is never.
	MaxBytes int64
	// Budget bounds what the run may cost.
	Budget Budget
	// Flight tells of the dumps of a source that is a flight recorder; nil where it is
	// none. The table _dumps has them.
	Flight Flight
	// Dumped is called for each dump by the reading goroutine, and may be nil.
	Dumped func(perfpipe.Dump)
	// Progress is called about twice a second by the reading goroutine, and may be nil.
	Progress func(Progress)
}

// Filter decides whether a record becomes a row. fault is 0, or the number of what
// kept the filter from deciding; ok is then the verdict all the same.
type Filter interface {
	Match(r *perfpipe.Record) (ok bool, fault uint8)
}

// Ahead is a [perfpipe.Source] a part of whose work can be done before Read asks for it:
// that of a recorded file, which never waits. A live one has no such part.
type Ahead interface {
	perfpipe.Source
	// Ahead is called once, before the first Read, and returns that part. Run calls it
	// on a goroutine of its own, where it ends when Read has returned an error, at the latest.
	Ahead() (work func())
}

// Output is a sink and the way its tables are made.
type Output struct {
	Sink perfpipe.Sink
	// Merged puts all events into one table; otherwise each has its own, beside
	// _lost, _clock and _tasks, with Options.Stacks _stacks and _frames, and with
	// Config.Flight _dumps.
	Merged bool
}

// Rotate says when a sink's files are finished; the first that holds.
type Rotate struct {
	// Bytes and Every are 0 for never.
	Bytes int64
	Every time.Duration
	// Signal rotates when something arrives; it may be nil.
	Signal <-chan struct{}
	// AfterDump rotates behind each dump of Config.Flight.
	AfterDump bool
}

// Progress is where a run stands.
type Progress struct {
	Rows, Lost uint64
	Bytes      int64
}

// Result is what a run came to.
type Result struct {
	perfpipe.Summary
	// Tables is the number of tables that got rows.
	Tables int
	// Rejected counts the records that the filters did not let through.
	Rejected uint64
	// Faults counts the records whose filter faulted, by cause.
	Faults map[string]uint64
	// Full is true where MaxBytes ended the run.
	Full bool
	// OverCPU is true where Budget.MaxCPU was not held although hardly any row was made:
	// reading and filtering alone took more.
	OverCPU bool
}

const (
	// readWait is how long a read waits for something; it bounds the time until
	// a deadline is seen.
	readWait = 100 * time.Millisecond
	// flushAfter is the age at which rows are handed on although their batch has
	// room: a live reader sees them within a second.
	flushAfter = 400 * time.Millisecond
	// tickEvery is the distance of the readings in _clock.
	tickEvery = 10 * time.Second
	// stepNS is the change of wall clock against CLOCK_MONOTONIC from which on it
	// counts as set; below it is slewed (at most 0.5 ms a second).
	stepNS = 10_000_000
	// queue is how many batches wait for the writer.
	queue = 16
)

// Run reads the source to its end, which ctx brings about, and returns after
// every goroutine that it started has. Whatever is complete when it fails is kept.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	r, err := newRun(&cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var stopErr atomic.Pointer[error]
	unhook := context.AfterFunc(ctx, func() {
		if err := cfg.Source.Stop(); err != nil {
			stopErr.Store(&err)
		}
	})
	r.w = newWriter(&cfg, r.pool.back, cancel, newPlaces(&cfg, r.stacks, r.inline()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.w.run()
	}()

	ahead := make(chan struct{})
	s, recorded := cfg.Source.(Ahead)
	if recorded {
		work := s.Ahead()
		go func() {
			defer close(ahead)
			work()
		}()
	} else {
		close(ahead)
	}
	err = r.read()
	<-ahead
	unhook()
	if p := stopErr.Load(); p != nil {
		err = errors.Join(err, *p)
	}
	// What is live ends when it is told to; of what was recorded the rest is not there.
	whole := err == nil && !(recorded && ctx.Err() != nil)
	r.last(whole)
	close(r.w.in)
	<-done
	res := r.result(whole && r.w.err == nil)
	return res, errors.Join(err, r.w.err, r.w.close(res.Summary))
}

// run is the reading side.
type run struct {
	cfg     *Config
	layouts []*layout // by merged: [0] a table an event, [1] one for all; nil where no output wants it
	pool    *pool
	w       *writer
	// current are the batches being filled, by layout and table.
	current [2][]*perfpipe.Batch
	own     *own
	stacks  *perfpipe.Table
	// offset is the wall clock less CLOCK_MONOTONIC, nanoseconds.
	offset int64
	clock  perfpipe.Clock
	sum    perfpipe.Summary
	reject uint64
	faults [][]uint64  // by event and fault
	emits  []*emission // by event, nil where no filter adds columns
	rows   []uint64    // by event
	budget *budget     // nil where nothing is bounded
	// dumped is how many rows there were at the end of the last dump.
	dumped uint64
	// late are the batches whose rows are not in order yet.
	late map[*perfpipe.Batch]bool
	// frames are the places in code that the writer has not been told of.
	frames []perfpipe.Frame
	now    time.Time
	// flushed, ticked and rotated are when these were last done.
	flushed, ticked, rotated, shown time.Time
}

var _ perfpipe.Visitor = (*run)(nil)

func newRun(cfg *Config) (*run, error) {
	schemas := cfg.Source.Schemas()
	if len(cfg.Outputs) == 0 {
		return nil, errors.New("start run: no output is named")
	}
	meta := cfg.Meta
	if meta == nil {
		meta = make([]map[string]string, len(schemas))
	}
	if len(meta) != len(schemas) || cfg.Filters != nil && len(cfg.Filters) != len(schemas) || cfg.KeepEmpty != nil && len(cfg.KeepEmpty) != len(schemas) {
		return nil, fmt.Errorf("start run: filters, metadata and flags must be given for all of the %d events", len(schemas))
	}
	cfg.Columns.Stacks = cfg.Columns.Stacks || cfg.Columns.StackInline
	r := &run{cfg: cfg, pool: newPool(), layouts: make([]*layout, 2), rows: make([]uint64, len(schemas)), late: make(map[*perfpipe.Batch]bool), stacks: portable(&stacksTable, cfg.Columns)}
	r.own = newOwn(r.newStacks(), cfg.Flight)
	r.startEmissions(schemas)
	for _, o := range cfg.Outputs {
		if o.Merged && r.layouts[1] == nil {
			r.layouts[1] = mergedLayout(schemas, meta, cfg.Columns)
			r.connect(r.layouts[1])
			r.current[1] = make([]*perfpipe.Batch, r.layouts[1].count)
		}
		if !o.Merged && r.layouts[0] == nil {
			r.layouts[0] = eventLayout(schemas, meta, cfg.Columns)
			r.connect(r.layouts[0])
			r.current[0] = make([]*perfpipe.Batch, r.layouts[0].count)
		}
	}
	r.faults = make([][]uint64, len(schemas))
	r.sum.LostBy = make(map[string]map[string]uint64)
	r.setClock(cfg.Start)
	r.sum.Start = cfg.Start
	var err error
	if r.budget, err = newBudget(cfg.Budget, schemas, r.Lost); err != nil {
		return nil, fmt.Errorf("start run: %w", err)
	}
	return r, nil
}

func (r *run) setClock(c perfpipe.Clock) {
	r.clock = c
	r.offset = c.Real - c.Mono
}

// read is the loop of the reading goroutine. It stays on its thread: the source
// sleeps in a system call, and its wake-ups should not wait for another.
func (r *run) read() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.now = time.Now()
	r.flushed, r.ticked, r.rotated, r.shown = r.now, r.now, r.now, r.now
	r.makeEmpty()
	if r.cfg.Columns.Stacks && r.layouts[0] != nil {
		r.send(message{batch: r.newStacks(), own: true})
	}
	r.own.addClock(r.cfg.Start)
	for {
		err := r.cfg.Source.Read(readWait, r)
		r.now = time.Now()
		dumped := r.dump()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if dumped && r.cfg.Rotate.AfterDump {
			r.rotate()
		}
		r.deadlines()
	}
}

// makeEmpty has the tables made that shall be there whatever happens.
func (r *run) makeEmpty() {
	for li, l := range r.layouts {
		if l == nil {
			continue
		}
		seen := make(map[*perfpipe.Table]bool)
		for ev, t := range l.tables {
			keep := l.merged || r.cfg.KeepEmpty == nil || r.cfg.KeepEmpty[ev]
			if keep && !seen[t] {
				seen[t] = true
				r.send(message{batch: r.pool.get(t), merged: li == 1})
			}
		}
	}
}

// Record implements [perfpipe.Visitor].
func (r *run) Record(rec *perfpipe.Record) {
	if r.cfg.Filters != nil && !r.pass(rec) {
		return
	}
	// Behind the filter: what it rejects is no row, and no loss.
	if r.budget != nil && !r.budget.keep(rec) {
		return
	}
	ev := rec.Event
	for li := range r.layouts {
		l := r.layouts[li]
		if l == nil {
			continue
		}
		e := l.encs[ev]
		if !e.whole(rec) {
			r.Lost(perfpipe.Loss{Event: e.event, CPU: int32(rec.CPU), From: rec.Time, To: rec.Time, Count: 1, Reason: perfpipe.LostCorrupt})
			return
		}
		slot := l.slots[ev]
		b := r.current[li][slot]
		if b == nil {
			b = r.pool.get(l.tables[ev])
			r.current[li][slot] = b
		}
		e.append(b, rec, r.offset)
		if e.late {
			e.late = false
			r.late[b] = true
		}
		if b.Rows >= r.pool.room(b) || b.Rows&1023 == 0 && b.Size()+b.Rows*fixedBytes(b.Table) > batchBytes {
			r.hand(li, slot)
		}
	}
	r.rows[ev]++
}

// pass reports whether one of the event's filters lets rec through.
func (r *run) pass(rec *perfpipe.Record) bool {
	progs := r.cfg.Filters[rec.Event]
	if len(progs) == 0 {
		return true
	}
	if r.emits != nil && r.emits[rec.Event] != nil {
		return r.passEmitting(rec, r.emits[rec.Event])
	}
	dropped := false
	for _, p := range progs {
		ok, fault := p.Match(rec)
		if fault != 0 {
			r.countFault(rec.Event, fault)
			dropped = dropped || !ok
		}
		if ok {
			return true
		}
	}
	r.refuse(rec, dropped)
	return false
}

// countFault counts a fault of an event's filter.
func (r *run) countFault(event int, fault uint8) {
	f := r.faults[event]
	for len(f) <= int(fault) {
		f = append(f, 0)
	}
	f[fault]++
	r.faults[event] = f
}

// addCounts adds two lists of numbers of the same things.
func addCounts(a, b []uint64) []uint64 {
	sum := make([]uint64, max(len(a), len(b)))
	for _, list := range [...][]uint64{a, b} {
		for i, n := range list {
			sum[i] += n
		}
	}
	return sum
}

// sumFaults puts n faults of an event's filters into the summary.
func (r *run) sumFaults(event, cause string, n uint64) {
	if r.sum.FaultsBy == nil {
		r.sum.FaultsBy = make(map[string]map[string]uint64)
	}
	if r.sum.FaultsBy[event] == nil {
		r.sum.FaultsBy[event] = make(map[string]uint64)
	}
	r.sum.FaultsBy[event][cause] += n
}

// refuse counts a record that no filter let through; dropped where one faulted.
func (r *run) refuse(rec *perfpipe.Record, dropped bool) {
	if !dropped {
		r.reject++
		return
	}
	r.Lost(perfpipe.Loss{Event: r.cfg.Source.Schemas()[rec.Event].Event(), CPU: int32(rec.CPU), From: rec.Time, To: rec.Time, Count: 1, Reason: perfpipe.LostFilterFault})
}

// Lost implements [perfpipe.Visitor]. Losses of the same kind in one round are one row.
func (r *run) Lost(l perfpipe.Loss) {
	if l.Reason == perfpipe.LostOffline {
		r.sum.Gaps++
	} else if l.Count == 0 {
		return
	}
	if perfpipe.Intended(l.Reason) {
		r.sum.Overwritten += l.Count
	} else {
		r.sum.Lost += l.Count
	}
	by := r.sum.LostBy[l.Event]
	if by == nil {
		by = make(map[string]uint64)
		r.sum.LostBy[l.Event] = by
	}
	by[l.Reason] += l.Count
	r.own.addLost(l)
	if r.own.lost.Rows >= ownRows {
		r.handOwn()
	}
}

// Task implements [perfpipe.Visitor].
func (r *run) Task(t perfpipe.Task) {
	r.sum.Escaped += r.own.addTask(t)
	if r.own.tasks.Rows >= ownRows {
		r.handOwn()
	}
}

// Stack implements [perfpipe.Visitor].
func (r *run) Stack(s *perfpipe.Stack) {
	if !r.cfg.Columns.Stacks {
		return
	}
	r.own.addStack(s)
	if r.own.stacks.Rows >= ownRows {
		r.handPlaces()
	}
}

// Frame implements [perfpipe.Visitor].
func (r *run) Frame(f perfpipe.Frame) {
	if !r.cfg.Columns.Stacks {
		return
	}
	r.frames = append(r.frames, f)
	if len(r.frames) >= ownRows {
		r.handPlaces()
	}
}

// handPlaces tells the writer of the stacks and frames that it has not seen: it must
// know them before the rows that have them.
func (r *run) handPlaces() {
	if r.own.stacks.Rows == 0 && len(r.frames) == 0 {
		return
	}
	m := message{frames: r.frames, own: true}
	r.frames = nil
	if r.own.stacks.Rows > 0 {
		m.batch, r.own.stacks = r.own.stacks, r.newStacks()
	}
	r.send(m)
}

func (r *run) newStacks() *perfpipe.Batch { return perfpipe.NewBatch(r.stacks, 0) }

// inline says for each table that has the column stack where it and stack_id are.
func (r *run) inline() map[*perfpipe.Table]inlineColumns {
	m := make(map[*perfpipe.Table]inlineColumns)
	for _, l := range r.layouts {
		if l == nil {
			continue
		}
		for ev, t := range l.tables {
			if at := l.encs[ev].tail; at.stack >= 0 {
				m[t] = inlineColumns{at.stackID, at.stack}
			}
		}
	}
	return m
}

// hand gives a filled batch to the writer.
func (r *run) hand(li, slot int) {
	b := r.current[li][slot]
	r.current[li][slot] = nil
	encs := r.layouts[li].bySlot[slot]
	seal(b, encs[0].tail.stack)
	for _, e := range encs {
		e.moves.batch = nil
	}
	r.handPlaces()
	m := message{batch: b, merged: li == 1}
	if len(r.late) > 0 {
		m.late = r.late[b]
		delete(r.late, b)
	}
	r.send(m)
}

func (r *run) send(m message) {
	r.pool.collect()
	if m.batch != nil && !m.own {
		r.pool.out++
	}
	r.w.in <- m
}

// handOwn gives the rows of perfpipe's own tables to the writer, and begins new ones.
func (r *run) handOwn() {
	if r.layouts[0] == nil {
		for _, b := range r.own.all() {
			b.Reset()
		}
		return
	}
	for _, b := range r.own.all() {
		r.send(message{batch: b, own: true})
	}
	r.own = newOwn(r.own.stacks, r.cfg.Flight)
}

// flush hands on every batch that has rows.
func (r *run) flush() {
	for li := range r.current {
		for slot, b := range r.current[li] {
			if b != nil && b.Rows > 0 {
				r.hand(li, slot)
			}
		}
	}
}

// deadlines does what is due by the clock.
func (r *run) deadlines() {
	if r.now.Sub(r.flushed) >= flushAfter {
		r.flushed = r.now
		if r.budget != nil {
			r.budget.idle()
		}
		r.flush()
		r.handPlaces()
		r.send(message{op: opFlush})
		r.tick()
	}
	rotate := r.cfg.Rotate.Every > 0 && r.now.Sub(r.rotated) >= r.cfg.Rotate.Every
	select {
	case <-r.cfg.Rotate.Signal:
		rotate = true
	default:
	}
	if rotate {
		r.rotate()
	}
	if r.cfg.Progress != nil && r.now.Sub(r.shown) >= 500*time.Millisecond {
		r.shown = r.now
		r.cfg.Progress(Progress{Rows: r.total(), Lost: r.sum.Lost, Bytes: r.w.bytes.Load()})
	}
}

func (r *run) total() (n uint64) {
	for _, v := range r.rows {
		n += v
	}
	return n
}
