package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/uprobe"
)

// madeEvents are events of our making, a:b to a:d with the fields x and y, and system
// calls' events as many as are asked for.
type madeEvents struct{ list []*perfpipe.Schema }

func newMadeEvents(t *testing.T, calls int) *madeEvents {
	t.Helper()
	var f madeEvents
	add := func(system, name string) {
		s, err := parseFields("x:s32,y:u64,text:string")
		if err != nil {
			t.Fatal(err)
		}
		s.System, s.Name = system, name
		f.list = append(f.list, s)
	}
	for _, name := range []string{"b", "c", "d"} {
		add("a", name)
	}
	for i := range calls {
		add("syscalls", fmt.Sprintf("sys_exit_%02d", i))
	}
	return &f
}

func (f *madeEvents) Select(patterns, _ []string) (names []string, err error) {
	for _, s := range f.list {
		for _, p := range patterns {
			if p == s.Event() || strings.HasSuffix(p, "*") && strings.HasPrefix(s.Event(), strings.TrimSuffix(p, "*")) {
				names = append(names, s.Event())
			}
		}
	}
	return names, nil
}

func (f *madeEvents) SchemaOf(event string) (*perfpipe.Schema, error) {
	i := slices.IndexFunc(f.list, func(s *perfpipe.Schema) bool { return s.Event() == event })
	return f.list[i], nil
}

// TestPlaceFilters: which tier a filter decides in, and why not in another.
func TestPlaceFilters(t *testing.T) {
	one := func(filter string, more ...configs.Event) configs.Capture {
		return configs.Capture{Events: append([]configs.Event{{Select: []string{"a:b"}, Filter: filter}}, more...)}
	}
	program := func(texts ...string) configs.Capture { return configs.Capture{Programs: texts} }
	paired := func(table string) string {
		return table + " m[16]; on a:b { m[y] = 1; return false; } on a:c { return y in m; }"
	}
	whole := configs.Event{Select: []string{"a:b"}}
	for _, tt := range []struct {
		name string
		c    configs.Capture
		tier string
		// want are the tiers of the events in the order of the plan, why a part of what is
		// said about the first of them.
		want []string
		why  string
		err  string
	}{
		{"code", one("x == 1"), "auto", []string{"bpf"}, "", ""},
		{"no word is auto", one("x == 1"), "", []string{"bpf"}, "", ""},
		{"code of what the kernel cannot say", one("x * 2 == 4"), "auto", []string{"bpf"}, "", ""},
		{"no filter", one(""), "auto", []string{"none: every record is a row"}, "", ""},
		{"two filters", one("x == 1", configs.Event{Select: []string{"a:b"}, Filter: "x == 2"}), "auto", []string{"kernel"}, "2 filters are for the event", ""},
		{"the event whole as well", one("{ u64 n = y; return n > 3; }", whole), "auto", []string{"process"}, "recorded whole", ""},
		{"a filter beside the event whole", one("x == 1", whole), "auto", []string{"none: every record is a row"}, "", ""},
		{"state of all processors", one("state u64 n; { n++; return n > 3; }"), "auto", []string{"process"}, "records of all processors", ""},
		{"state of each processor", one("percpu state u64 n; { n++; return n > 3; }"), "auto", []string{"bpf"}, "", ""},
		{"map by thread", program(paired("map<tid, u8>")), "auto", []string{"bpf", "bpf"}, "", ""},
		{"state of each processor for two events", program("percpu state u64 n; on a:b { n++; return false; } on a:c { return n > 3; }"), "auto", []string{"process", "process"}, "may interrupt the other", ""},
		{"map by processor for two events", program(paired("map<cpu, u8>")), "auto", []string{"process", "process"}, "may interrupt the other", ""},
		{"asked for all the same", program(paired("map<cpu, u8>")), "bpf", []string{"bpf", "bpf"}, "", ""},
		{"map by process", program(paired("map<pid, u8>")), "auto", []string{"process", "process"}, "records of all processors", ""},
		{"one of two shares its event", configs.Capture{Events: []configs.Event{{Select: []string{"a:c"}, Filter: "x == 1"}}, Programs: []string{paired("map<tid, u8>")}}, "auto",
			[]string{"process", "process"}, "2 filters", ""},
		{"they share nothing", configs.Capture{Events: []configs.Event{{Select: []string{"a:c"}, Filter: "x == 1"}}, Programs: []string{"on a:b { return x > 1; } on a:c { return y > 1; }"}}, "auto",
			[]string{"kernel, then process", "bpf"}, "2 filters", ""},
		{"the kernel's own meaning", configs.Capture{Events: one("x == 1").Events, KernelCompat: true}, "auto", []string{"kernel"}, "--kernel-compat", ""},
		{"few system calls", configs.Capture{Events: []configs.Event{{Select: []string{"syscalls:sys_exit_1*"}, Filter: "x < 0"}}}, "auto", slices.Repeat([]string{"bpf"}, 2), "", ""},
		{"many system calls", configs.Capture{Events: []configs.Event{{Select: []string{"syscalls:*"}, Filter: "x < 0"}}}, "auto", slices.Repeat([]string{"kernel"}, 12), "all 12 events", ""},

		{"process", one("x == 1"), "process", []string{"process"}, "as --tier says", ""},
		{"kernel", one("x == 1 || y > 3"), "kernel", []string{"kernel"}, "as --tier says", ""},
		{"kernel, two filters", one("x == 1", configs.Event{Select: []string{"a:b"}, Filter: "x == 2"}), "kernel", []string{"kernel"}, "", ""},
		{"kernel, always true", one("has(x)"), "kernel", []string{"none: it is always true"}, "", ""},
		{"kernel, no filter", one(""), "kernel", []string{"none: every record is a row"}, "", ""},
		{"kernel cannot", one("x == 1 && x * 2 == 4"), "kernel", nil, "", `event a:b: --tier kernel: the kernel's filters cannot say "x * 2 == 4": the kernel's language has no arithmetic`},
		{"kernel cannot remember", one("changed(x)"), "kernel", nil, "", "no statements and keeps nothing"},
		{"kernel cannot programs", one("{ return x == 1; }"), "kernel", nil, "", "no statements"},
		{"kernel, too long", one("x == 1" + strings.Repeat(" || x == 1 && y == 12345678901234567890", 150)), "kernel", nil, "", "--tier kernel"},
		{"bpf", one("x == 1"), "bpf", []string{"bpf"}, "", ""},
		{"bpf takes what is in order in process alone", program(paired("map<pid, u8>")), "bpf", []string{"bpf", "bpf"}, "", ""},
		{"bpf takes many system calls", configs.Capture{Events: []configs.Event{{Select: []string{"syscalls:*"}, Filter: "x < 0"}}}, "bpf", slices.Repeat([]string{"bpf"}, 12), "", ""},
		{"bpf cannot two", one("x == 1", configs.Event{Select: []string{"a:b"}, Filter: "x == 2"}), "bpf", nil, "", "event a:b: --tier bpf: no program in the kernel can decide its filter: 2 filters"},
		{"bpf cannot emit texts", one("{ emit string s = text; return true; }"), "bpf", nil, "", "which is a string"},
		{"bpf cannot remember what is whole", one("{ u64 n = y; return n > 3; }", whole), "bpf", nil, "", "recorded whole"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Tier = tt.tier
			plan, err := makePlan(&tt.c, newMadeEvents(t, 12), nil, filters.KernelFeatures{})
			if err != nil {
				t.Fatal(err)
			}
			err = placeFilters(plan, &tt.c)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range plan {
				got = append(got, p.tier())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q: %s", got, tt.want, plan[0].describeTier())
			}
			if text := plan[0].describeTier(); !strings.Contains(text, tt.why) {
				t.Errorf("got %q, want %q in it", text, tt.why)
			}
			if tt.tier == tierProcess && plan[0].push != "" {
				t.Errorf("the kernel is given %q", plan[0].push)
			}
		})
	}
}

func TestTierUsage(t *testing.T) {
	if err := checkTier("ebpf"); err == nil || !strings.Contains(err.Error(), "none of auto, kernel, bpf and process") {
		t.Errorf("got %v", err)
	}
	for _, words := range [][]string{{"x == 1", "--tier", "ebpf"}, {"x * 2 == 4", "--tier", "kernel"}} {
		code, _, errs := filterCommand(t, "", append([]string{"explain", "--fields", "x:s32"}, words...)...)
		if code != exitUsage || !strings.Contains(errs, "--tier") {
			t.Errorf("%q: got status %d: %s", words, code, errs)
		}
	}
}

// TestEmittedColumns: values come from the record, whatever Match was asked before.
func TestEmittedColumns(t *testing.T) {
	s, err := parseFields("x:s32")
	if err != nil {
		t.Fatal(err)
	}
	p, err := filters.Compile("{ emit s32 twice = 2 * x; if (x > 1) { emit bool big = true; } return true; }", s, filters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := decidedFilter(p)
	e, ok := list[0].(*emitted)
	if len(list) != 1 || !ok || len(e.Columns()) != 2 || e.Columns()[0].Type != perfpipe.TypeInt32 || e.Columns()[0].Nullable || !e.Columns()[1].Nullable {
		t.Fatalf("got %+v", list)
	}
	rec := &perfpipe.Record{Emits: make([]byte, 24)}
	rec.Emits[0], rec.Emits[8] = 1, 6
	if ok, fault := e.Match(rec); !ok || fault != 0 {
		t.Error("what a program let through is not let through")
	}
	if v, _, ok := e.Value(0); !ok || v != 6 {
		t.Errorf("got %d, %v, want 6", v, ok)
	}
	if _, _, ok := e.Value(1); ok {
		t.Error("a value that is not there is there")
	}
	plain, err := filters.Compile("x == 1", s, filters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if list := decidedFilter(plain); list != nil {
		t.Errorf("got %v: it adds nothing", list)
	}
}

// TestCodeOfProbes: programs on probes may be interrupted by other tasks, and keep
// nothing that those would change.
func TestCodeOfProbes(t *testing.T) {
	s, err := parseFields("x:s32,y:u64,text:string")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ filter, tier, why string }{
		{"x == 1", tierAuto, ""},
		{"map<tid, u64> m[8]; { m[$tid] += 1; return m[$tid] > 3; }", tierAuto, ""},
		{"percpu state u64 n; { n += 1; return n > 3; }", tierAuto, "percpu state"},
		{"percpu state u64 n; { n += 1; return n > 3; }", tierBPF, ""},
		{`text ~ "*a*b*"`, tierBPF, "copies texts"},
	} {
		prog, err := filters.Compile(tt.filter, s, filters.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := &planned{schema: s, probe: &uprobe.Probe{}, progs: []*filters.Program{prog}}
		p.codeFor(&configs.Capture{Tier: tt.tier})
		if (p.code != nil) != (tt.why == "") || !strings.Contains(p.noCode, tt.why) {
			t.Errorf("%s under %s: got code %v, because %q; want %q", tt.filter, tt.tier, p.code != nil, p.noCode, tt.why)
		}
		// On a tracepoint no other task comes between.
		p.probe, p.noCode, p.code = nil, "", nil
		if p.codeFor(&configs.Capture{Tier: tt.tier}); p.code == nil {
			t.Errorf("%s under %s on a tracepoint: %s", tt.filter, tt.tier, p.noCode)
		}
	}
}
