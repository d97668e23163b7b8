package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// oneEvent is a machine whose only event is irq:irq_handler_entry.
type oneEvent struct{ schema *perfpipe.Schema }

func newOneEvent(t *testing.T) oneEvent {
	t.Helper()
	const format = "name: irq_handler_entry\nID: 7\nformat:\n" +
		"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n" +
		"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n" +
		"\tfield:int irq;\toffset:8;\tsize:4;\tsigned:1;\n\nprint fmt: \"irq=%d\", REC->irq\n"
	s, err := tracefs.ParseFormat("irq", []byte(format))
	if err != nil {
		t.Fatal(err)
	}
	return oneEvent{s}
}

func (o oneEvent) Select(patterns, exclude []string) ([]string, error) {
	return tracefs.Select([]string{o.schema.Event()}, patterns, exclude)
}

func (o oneEvent) SchemaOf(string) (*perfpipe.Schema, error) { return o.schema, nil }

func TestJobChecks(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, in string
		want     []string // each the beginning of a fault; none where the file is good
	}{
		{"good", "events: [{event: irq:irq_handler_entry, filter: irq == 18 || irq == 19}]\ntarget: {cpus: 0-3}\noutputs: [" + dir + "/x.parquet, '-']", nil},
		{"a glob takes away nothing", "events: ['irq:*', '!sched:*']", nil},
		{"unknown event", "events: [irq:irq_handler_entri]", []string{`j:1:10: unknown event "irq:irq_handler_entri"; did you mean irq:irq_handler_entry?`}},
		{"unknown event, and its filter's syntax", "events:\n- event: shed:x\n  filter: a ==", []string{`j:2:10: unknown event "shed:x"`, `j:3:15: filter: `}},
		{"unknown exclusion", "events: 'irq:*'\nexclude: [irq:nope]", []string{`j:2:11: unknown event "irq:nope"`}},
		{"unknown field on its line", "events:\n- event: irq:*\n  filter: |\n    irq == 1 &&\n      irk == 2", []string{`j:5:7: filter of irq:irq_handler_entry: unknown field "irk"`}},
		{"cpus", "events: 'irq:*'\ntarget: {cpus: 4-2}", []string{`j:2:16: cpus: cpu list "4-2"`}},
		{"outputs", "events: 'irq:*'\noutputs: [" + dir + "/no/x.csv, /dev/null/x]", []string{"j:2:11: output " + dir + "/no/x.csv: the folder " + dir + "/no does not exist: mkdir -p", "j:2:"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := configs.Load("j", []byte(tt.in), jobChecks(newOneEvent(t)))
			var faults configs.Faults
			if tt.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &faults) || len(faults) != len(tt.want) {
				t.Fatalf("got %v, want %d faults", err, len(tt.want))
			}
			for i, w := range tt.want {
				if !strings.HasPrefix(faults[i].Error(), w) {
					t.Errorf("got %q, want %q", faults[i].Error(), w)
				}
			}
		})
	}
}

// TestJobChecksWithoutEvents: where tracefs cannot be read, filters are parsed all the same.
func TestJobChecksWithoutEvents(t *testing.T) {
	_, err := configs.Load("j", []byte("events: [{event: any:thing, filter: 'x == (1'}]"), jobChecks(nil))
	if err == nil || !strings.HasPrefix(err.Error(), "j:1:") || !strings.Contains(err.Error(), "filter: ") {
		t.Errorf("got %v, want a fault of the filter", err)
	}
	if _, err := configs.Load("j", []byte("events: [{event: any:thing, filter: 'x == 1'}]"), jobChecks(nil)); err != nil {
		t.Error(err)
	}
}

// TestSamplesAreGood: the job files of configs/ have no fault on any machine.
func TestSamplesAreGood(t *testing.T) {
	samples := configs.Samples()
	if len(samples) < 5 {
		t.Fatalf("got %d samples, want those of configs/", len(samples))
	}
	for _, s := range samples {
		check := jobChecks(nil)
		if jobs, err := configs.Load(s.Name, s.Text, check); err != nil || len(jobs) == 0 {
			t.Errorf("got %d jobs, %v", len(jobs), err)
		}
	}
}

func TestOccupied(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"empty", "full", "x.parquet", defaultOutput} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"full/f", "x.csv", defaultOutput + "/f"} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"-": "", "new": "", "new.csv": "", "empty": "", "full": "is a folder that is not empty", "x.csv": "exists", "x.parquet": "exists", defaultOutput: "",
	} {
		if got := occupied(configs.Output{Path: path}); got != want {
			t.Errorf("occupied(%s) = %q, want %q", path, got, want)
		}
	}
}

func TestChooseJobs(t *testing.T) {
	three := []configs.Capture{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	for _, tt := range []struct {
		name  string
		jobs  []configs.Capture
		names []string
		want  string
		err   string
	}{
		{"all", three, nil, "a b c", ""},
		{"one", three, []string{"b"}, "b", ""},
		{"two, in the file's order", three, []string{"c", "a"}, "a c", ""},
		{"unknown", three, []string{"x"}, "", "it has a, b, c"},
		{"the only job has no name", []configs.Capture{{}}, []string{"x"}, "", "leave --job out"},
	} {
		got, err := chooseJobs(tt.jobs, tt.names, "f.yaml")
		var names []string
		for _, j := range got {
			names = append(names, j.Name)
		}
		if tt.err != "" {
			var ee *exitError
			if !errors.As(err, &ee) || ee.code != exitUsage || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %v, want usage and %q", tt.name, err, tt.err)
			}
			continue
		}
		if err != nil || strings.Join(names, " ") != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, names, err, tt.want)
		}
	}
}

func TestApart(t *testing.T) {
	job := func(name string, paths ...string) configs.Capture {
		c := configs.Capture{Name: name}
		for _, p := range paths {
			c.Outputs = append(c.Outputs, configs.Output{Path: p})
		}
		return c
	}
	if err := apart([]configs.Capture{job("a", "x", "-"), job("b", "y")}, "f"); err != nil {
		t.Error(err)
	}
	for _, jobs := range [][]configs.Capture{
		{job("a", "x"), job("b", "./x/")},
		{job("a", "-"), job("b", "y", "-")},
		{job("a", defaultOutput), job("b", defaultOutput)},
	} {
		var ee *exitError
		if err := apart(jobs, "f"); !errors.As(err, &ee) || ee.code != exitJob || !strings.Contains(err.Error(), "the jobs a and b both write to") {
			t.Errorf("%v: got %v", jobs, err)
		}
	}
}

func TestJobStatuses(t *testing.T) {
	status := func(err error) int {
		var ee *exitError
		if errors.As(err, &ee) {
			return ee.code
		}
		return -1
	}
	plain := errors.New("x")
	for _, tt := range []struct {
		err  error
		want int
	}{
		{asJob(usageError(plain)), exitJob}, {asJob(fmt.Errorf("a: %w", usageError(plain))), exitJob}, {asJob(&exitError{code: 2}), 2},
		{asJob(&exitError{err: plain, code: exitPermission}), exitPermission}, {asJob(plain), -1}, {asJob(nil), -1},
		{jobFileError(configs.Faults{{Line: 1, Text: "x"}}), exitJob}, {jobFileError(fs.ErrPermission), exitPermission}, {jobFileError(fs.ErrNotExist), exitUsage},
		{moreSevere(nil, usageError(plain)), exitUsage}, {moreSevere(usageError(plain), &exitError{code: exitJob}), exitJob}, {moreSevere(&exitError{code: exitJob}, usageError(plain)), exitJob},
	} {
		if got := status(tt.err); got != tt.want {
			t.Errorf("%v: got status %d, want %d", tt.err, got, tt.want)
		}
	}
}

// TestPrefixWriter: lines of several jobs stay whole and say whose they are.
func TestPrefixWriter(t *testing.T) {
	var b bytes.Buffer
	l := &lockedWriter{w: &b}
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		w := &prefixWriter{w: l, prefix: name + ": "}
		wg.Go(func() {
			for range 100 {
				fmt.Fprintf(w, "one %s\ntwo %s\n", name, name)
			}
		})
	}
	wg.Wait()
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 400 {
		t.Fatalf("got %d lines, want 400", len(lines))
	}
	for i, l := range lines {
		if !slices.Contains([]string{"a: one a", "a: two a", "b: one b", "b: two b"}, l) || i%2 == 1 && lines[i-1] != strings.Replace(l, "two", "one", 1) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
}

func TestCheckReports(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good.yaml", "events: [{event: any:thing, filter: x == 1}, 'a:*']\noutputs: [/nonexistent/x]\n")
	write("bad.yaml", "evnets: [a:b]\nduration: 5\n")
	out, errs, status := runHere(t, "check", "--portable", "good.yaml")
	if status != exitOK || out != "good.yaml: ok: 1 job, 2 events or globs, 1 filter\n" || errs != "" {
		t.Errorf("a good file: got %d, %q, %q", status, out, errs)
	}
	out, errs, status = runHere(t, "check", "--portable", "bad.yaml", "good.yaml", "none.yaml")
	if status != exitJob || !strings.HasPrefix(out, "good.yaml: ok") || !strings.Contains(errs, "bad.yaml:1:1: unknown key \"evnets\"; did you mean \"events\"?\n") ||
		!strings.Contains(errs, "bad.yaml:2:11: duration: the time 5 has no unit") || !strings.Contains(errs, "none.yaml: no such file") {
		t.Errorf("a bad file: got %d, %q, %q", status, out, errs)
	}
	out, errs, status = runHere(t, "run", "bad.yaml")
	if status != exitJob || out != "" || !strings.HasPrefix(errs, "bad.yaml:1:1: ") || strings.Count(errs, "\n") != 2 {
		t.Errorf("run of a bad file: got %d, %q, %q", status, out, errs)
	}
	write(configs.DefaultsFile, "rings: 3M\n")
	if _, errs, status := runHere(t, "run", "good.yaml"); status != exitJob || !strings.Contains(errs, `unknown key "rings"; did you mean "ring"?`) {
		t.Errorf("bad defaults: got %d, %q", status, errs)
	}
	if matches, _ := filepath.Glob("*"); len(matches) != 3 {
		t.Errorf("check and run left %q", matches)
	}
}
