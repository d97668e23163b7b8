package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/filters"
)

// filtersMet are figures of filters within their bars.
func filtersMet() *Filters {
	kept := func(t *Tool, events int) *Tool {
		for i := range t.Runs {
			t.Runs[i].Events = events
		}
		return t
	}
	f := &Filters{Calls: 1e6, Every: 100, Ring: "16M", Alone: tool(untraced, "nothing (the loop alone)", 0, 0, 0)}
	for _, c := range [...]struct {
		id, filter string
		kept       int
	}{{rejectsAll, "id == 999", 0}, {rejectsMost, "id == 1000001", 1e4}} {
		f.Cases = append(f.Cases, &FilterCase{ID: c.id, Filter: c.filter, Kept: c.kept, Tools: []*Tool{
			kept(tool(perfRecord, "perf record --filter", 200, 0.01, 0), c.kept), kept(tool(bpftraceCount, "bpftrace, count()", 140, 0, 0), c.kept),
			kept(tool(bpftracePrint, "bpftrace, printf to /dev/null", 180, 0, 0), 0),
			kept(tool(engineTool("bpf"), "perfpipe, --tier bpf", 110, 0.01, 0), c.kept), kept(tool(engineTool("kernel"), "perfpipe, --tier kernel", 190, 0.01, 0), c.kept),
			{ID: engineTool("process"), Name: "perfpipe, --tier process", Refused: "perfpipe record has no --tier"},
		}})
	}
	f.Cases = append(f.Cases, &FilterCase{ID: keepsAll, Filter: "id >= 0", Kept: 1e6, Tools: []*Tool{
		tool(perfRecord, "perf record without a filter", 1000, 0.5, 0), tool(engineTool("bpf"), "perfpipe, --tier bpf", 240, 0.2, 0),
		tool(engineTool(statefulTool), "perfpipe, the program of 20 lines, --tier bpf", 330, 0.2, 0),
	}})
	f.Benches = []Bench{
		{"x/filters", "BenchmarkMatch/three-2", 9, 0}, {"x/filters", "BenchmarkMatch/strings-2", 50, 0},
		{"x/filters", "BenchmarkProgram50/stream-2", 90, 0}, {"x/filters", "BenchmarkProgram50/deep-2", 140, 0},
	}
	f.Recipes = []Recipe{
		{Title: "Slow wake-ups", Programs: 3, Instructions: 1416, Code: []float64{0.001, 0.002}, Loaded: []float64{0.03, 0.04}, CPU: []float64{0.04, 0.05}},
		{Title: "Reads that grow", Refused: "its loops may go round more than 4096 times"},
		{Title: "Waits for locks", Programs: 2, Instructions: 356, Code: []float64{0.001, 0.002}, Loaded: []float64{0.02, 0.03}, CPU: []float64{0.03, 0.04}},
	}
	return f
}

// with changes all runs of a tool under one filter.
func (f *Filters) with(id, tool string, change func(*Run)) {
	set(&Results{Tools: f.find(id).Tools}, tool, change)
}

func TestFilterFigures(t *testing.T) {
	bpf := engineTool("bpf")
	tests := []struct {
		name            string
		change          func(*Filters)
		missed, unknown []string
	}{
		{"all met", func(*Filters) {}, nil, nil},
		{"rejecting costs more than by the cheaper peer", func(f *Filters) { f.with(rejectsAll, bpf, func(x *Run) { x.Load.NS = 260 }) }, []string{"rejects all (`id == 999`), --tier bpf; against the cheaper of perf record --filter and bpftrace (bpftrace, count())"}, nil},
		{"rejecting most costs more", func(f *Filters) { f.with(rejectsMost, bpf, func(x *Run) { x.Load.NS = 260 }) }, []string{"rejects 99 %"}, nil},
		{"perf is the cheaper one", func(f *Filters) {
			f.with(rejectsAll, perfRecord, func(x *Run) { x.Load.NS = 190 })
		}, []string{"bpftrace (perf record --filter)"}, nil},
		{"no bpftrace", func(f *Filters) {
			for _, c := range f.Cases {
				refuse(&Results{Tools: c.Tools}, bpftraceCount)
			}
		}, nil, nil},
		{"no peers", func(f *Filters) {
			refuse(&Results{Tools: f.find(rejectsAll).Tools}, bpftraceCount)
			refuse(&Results{Tools: f.find(rejectsAll).Tools}, perfRecord)
		}, nil, []string{"rejects all"}},
		{"keeping all costs more", func(f *Filters) { f.with(keepsAll, bpf, func(x *Run) { x.Load.NS = 450 }) }, []string{"keeps all (`id >= 0`)"}, nil},
		{"the program costs more", func(f *Filters) { f.with(keepsAll, engineTool(statefulTool), func(x *Run) { x.Load.NS = 600 }) }, []string{"a program of 20 lines"}, nil},
		{"no tiers", func(f *Filters) {
			for _, c := range f.Cases {
				refuse(&Results{Tools: c.Tools}, bpf)
			}
		}, nil, []string{"rejects all", "rejects 99 %", "keeps all"}},
		{"slow in process", func(f *Filters) { f.Benches[0].NS = 13 }, []string{"ns of a record, in process: `prev_pid == 0"}, nil},
		{"a slow program", func(f *Filters) { f.Benches[3].NS = 151 }, []string{"ns of a record, in process: a program of 50 lines"}, nil},
		{"allocation", func(f *Filters) { f.Benches[2].Allocs = 1 }, []string{"allocations of a record, in process: a program"}, nil},
		{"no benchmark", func(f *Filters) { f.Benches = f.Benches[:2] }, nil, []string{"ns of a record, in process: a program", "allocations of a record, in process: a program"}},
		{"slow to load", func(f *Filters) { f.Recipes[2].Loaded = []float64{0.06, 0.07} }, []string{"docs/filters.md"}, nil},
		{"nothing to load", func(f *Filters) { f.Recipes = f.Recipes[1:2] }, nil, []string{"docs/filters.md"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := filtersMet()
			tt.change(f)
			missed, unknown := judged(f.figures())
			compareParts(t, "missed", missed, tt.missed)
			compareParts(t, "not measured", unknown, tt.unknown)
		})
	}
	if got := (*Filters)(nil).figures(); len(got) > 0 {
		t.Errorf("nothing measured: got %v, want none", got)
	}
}

func TestSlowestRecipe(t *testing.T) {
	got := filtersMet().recipeFigure().Perfpipe
	if want := "35 (30 to 40), the slowest (Slow wake-ups) of 2; 1 more have no code for the kernel"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFiltersCheck(t *testing.T) {
	bpf := engineTool("bpf")
	for _, tt := range []struct {
		name   string
		change func(*Filters)
		err    string
	}{
		{"as the filter says", func(*Filters) {}, ""},
		{"some are lost, and said to be", func(f *Filters) { f.with(rejectsMost, bpf, func(x *Run) { x.Events, x.Lost = 9000, 1000 }) }, ""},
		{"some are missing", func(f *Filters) { f.with(rejectsMost, bpf, func(x *Run) { x.Events-- }) }, "id == 1000001, perfpipe, --tier bpf: 9999 rows + 0 lost, want 10000"},
		{"too many", func(f *Filters) { f.with(rejectsAll, bpf, func(x *Run) { x.Events++ }) }, "1 rows + 0 lost, want 0"},
		{"others' too", func(f *Filters) { f.with(keepsAll, bpf, func(x *Run) { x.Events += 9 }) }, ""},
		{"not all", func(f *Filters) { f.with(keepsAll, bpf, func(x *Run) { x.Events -= 9 }) }, "999991 rows"},
		{"a peer that loses", func(f *Filters) { f.with(rejectsMost, perfRecord, func(x *Run) { x.Events-- }) }, ""},
		{"failed", func(f *Filters) { f.Cases[0].Tools[3].Refused = failed + "load program" }, "failed: load program"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := filtersMet()
			tt.change(f)
			if err := (&Results{Filters: f}).check(); !says(err, tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

// TestRecipes: the manual's programs are found, and are programs.
func TestRecipes(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join("..", "docs", "filters.md"))
	if err != nil {
		t.Fatal(err)
	}
	list := recipes(string(manual))
	if len(list) < 21 {
		t.Fatalf("got %d programs, want the example and twenty more", len(list))
	}
	if got, want := list[1].title, "Slow wake-ups"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, p := range list {
		if _, err := filters.ParseSet(p.text); err != nil {
			t.Errorf("%s: %v", p.title, err)
		}
	}
}

// TestStatefulProgram: it is of twenty lines, and a program.
func TestStatefulProgram(t *testing.T) {
	if got := strings.Count(statefulProgram, "\n"); got != 20 {
		t.Errorf("got %d lines, want 20", got)
	}
	if got := filters.ShapeOf(statefulProgram); got != filters.ShapeProgram {
		t.Errorf("got shape %v, want a program", got)
	}
}

// find returns a case, nil where it was not measured.
func (f *Filters) find(id string) *FilterCase {
	for _, c := range f.Cases {
		if c.ID == id {
			return c
		}
	}
	return nil
}
