package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// filterText is the text of a filter as a flag gives it: @FILE is what FILE holds.
func filterText(v string) (string, error) {
	path, ok := strings.CutPrefix(v, "@")
	if !ok {
		return v, nil
	}
	return readFilter(path)
}

// programText is the text of a program: @FILE and FILE are what FILE holds, and what
// has a brace is the program itself.
func programText(v string) (string, error) {
	if path, ok := strings.CutPrefix(v, "@"); ok {
		return readFilter(path)
	}
	if strings.Contains(v, "{") {
		return v, nil
	}
	return readFilter(v)
}

func readFilter(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read filter: %w", err)
	}
	// One byte more than is taken tells a file that is too long.
	b, err := io.ReadAll(io.LimitReader(f, syntax.MaxSource+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("read filter %s: %w", path, err)
	}
	if len(b) > syntax.MaxSource {
		return "", fmt.Errorf("read filter %s: it is longer than %d bytes", path, syntax.MaxSource)
	}
	return strings.TrimRight(string(b), " \t\r\n"), nil
}

// joinPrograms reports why filters cannot be joined by &&, nil where they can.
func joinPrograms(list ...string) error {
	for _, f := range list {
		if filters.ShapeOf(f) != filters.ShapeExpr {
			return errors.New("a filter with statements or state stands alone: put what else is to hold into it, as in if (!(prev_pid == 0)) return false;")
		}
	}
	return nil
}

// checkProgram returns what is wrong with a job's program, as far as its text tells.
func checkProgram(text string) error {
	_, err := filters.ParseSet(text)
	return atFilter(err)
}

// checkProgramHere compiles a job's program for the events of this machine.
func checkProgramHere(here schemas, job *configs.Capture, text string) error {
	if err := checkProgram(text); err != nil {
		return err
	}
	if !targetLives(job) {
		return nil // probes are looked up where their process is
	}
	one := *job
	one.Events, one.Programs, one.Exclude = nil, []string{text}, nil
	probes, err := newProber(job, nil)
	if err != nil {
		return err
	}
	plan, err := makePlan(&one, here, probes, kernelFeatures())
	if err == nil {
		err = placeFilters(plan, &one)
	}
	return atFilter(errors.Join(err, probes.close()))
}

// atFilter gives an error of a filter the place that a job file's line is found by.
func atFilter(err error) error {
	var fe *filters.Error
	if errors.As(err, &fe) {
		return &filterFault{text: err.Error(), pos: fe.Pos}
	}
	return err
}

// program takes in the clauses of one program: its events, and what it says of them.
func (pl *planner) program(text, comm string, o filters.Options) error {
	set, err := filters.ParseSet(text)
	if err != nil {
		return usageError(err)
	}
	seen := make(map[*planned]bool)
	o.Where = comm
	for i, cl := range set.Clauses() {
		chosen, err := pl.choose(configs.Event{Select: cl.Events})
		if err != nil {
			return err
		}
		for _, p := range chosen {
			if seen[p] {
				return usageError(fmt.Errorf("the program has two clauses for %s: make one of them", p.schema.Event()))
			}
			seen[p] = true
			prog, err := set.Compile(i, p.schema, withFunctions(o, text))
			if err != nil {
				return usageError(filterError(err, []string{p.schema.Event()}, len(chosen)))
			}
			p.progs, p.sets = append(p.progs, prog), append(p.sets, set)
			p.source = joinFilter(p.source, text)
		}
	}
	return nil
}

// watchers keeps, for an event of which all records are rows, the programs that
// remember records.
func (p *planned) watchers() {
	p.source = ""
	p.progs = slices.DeleteFunc(p.progs, func(prog *filters.Program) bool { return !prog.Stateful() })
	if len(p.progs) == 0 {
		p.progs = nil
		return
	}
	var texts []string
	for _, prog := range p.progs {
		texts = append(texts, prog.Source())
	}
	p.source = strings.Join(texts, "\n")
}

// mute reports whether no record of the event can become a row: its programs do
// nothing but remember.
func (p *planned) mute() bool {
	if p.all || len(p.progs) == 0 {
		return false
	}
	return !slices.ContainsFunc(p.progs, (*filters.Program).Passes)
}

// everything lets all records through.
type everything struct{}

// Match implements [collector.Filter].
func (everything) Match(*perfpipe.Record) (bool, uint8) { return true, 0 }

// watcher is a program that remembers records and adds columns.
type watcher struct {
	decider
	cols  []perfpipe.ColumnDef
	texts []bool
}

var _ collector.Emitter = (*watcher)(nil)

// newWatcher returns the filter that p is.
func newWatcher(p *filters.Program) *watcher {
	w := &watcher{decider: decider{p}}
	for _, e := range p.Emits() {
		w.cols = append(w.cols, perfpipe.ColumnDef{Name: e.Name, Type: columnType(e.Type), Nullable: e.Nullable})
		w.texts = append(w.texts, e.Type == "string")
	}
	return w
}

// columnType is the column for a type of the language.
func columnType(name string) perfpipe.Type {
	switch name {
	case "s8":
		return perfpipe.TypeInt8
	case "s16":
		return perfpipe.TypeInt16
	case "s32":
		return perfpipe.TypeInt32
	case "s64":
		return perfpipe.TypeInt64
	case "u8":
		return perfpipe.TypeUint8
	case "u16":
		return perfpipe.TypeUint16
	case "u32":
		return perfpipe.TypeUint32
	case "u64":
		return perfpipe.TypeUint64
	case "bool":
		return perfpipe.TypeBool
	}
	return perfpipe.TypeString
}

// Columns implements [collector.Emitter].
func (w *watcher) Columns() []perfpipe.ColumnDef { return w.cols }

// Value implements [collector.Emitter].
func (w *watcher) Value(i int) (v uint64, text []byte, ok bool) {
	if w.texts[i] {
		text, ok = w.p.EmittedText(i)
		return 0, text, ok
	}
	v, ok = w.p.EmittedInt(i)
	return v, nil, ok
}
