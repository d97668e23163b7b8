package tracefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tree makes a tracefs of files in which the fixtures are.
func tree(t testing.TB) *FS {
	t.Helper()
	root := t.TempDir()
	var names []string
	for file, b := range fixtures(t) {
		system, name, _ := strings.Cut(file, ".")
		dir := filepath.Join(root, "events", system, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "format"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, system+":"+name)
	}
	if err := os.WriteFile(filepath.Join(root, "available_events"), []byte(strings.Join(names, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(Options{Path: root})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTree(t *testing.T) {
	f := tree(t)
	events, err := f.Events()
	if err != nil || !slices.IsSorted(events) || len(events) < 40 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	s, err := f.SchemaOf("tracepoint:sched:sched_switch")
	if err != nil || s.Event() != "sched:sched_switch" || s.Field("prev_comm") == nil {
		t.Fatalf("got %v, %v", s, err)
	}
	if again, err := f.Schema("sched", "sched_switch"); err != nil || again != s {
		t.Errorf("read twice: %p and %p, %v", s, again, err)
	}
	f.Refresh()
	if again, err := f.Schema("sched", "sched_switch"); err != nil || again == s {
		t.Errorf("not read again after Refresh: %v", err)
	}
	var unknown *UnknownEventError
	for _, bad := range []string{"sched:sched_swich", "sched_switch", "sched:../sched_switch", "..:x", ":", "a:", "sched:sched_switch:k"} {
		if _, err := f.SchemaOf(bad); !errors.As(err, &unknown) {
			t.Errorf("SchemaOf(%q): %v, want an unknown event", bad, err)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(Options{Path: t.TempDir()}); !errors.Is(err, ErrNotMounted) {
		t.Errorf("an empty folder: %v, want %v", err, ErrNotMounted)
	}
	if os.Getuid() == 0 {
		return // root may everything
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Path: dir})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "mode 0000") {
		t.Errorf("a closed folder: %v", err)
	}
}

func TestExplainPermission(t *testing.T) {
	path := filepath.Join(t.TempDir(), "filter")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	err := explain("write", path, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v is no fs.ErrPermission", err)
	}
	for _, want := range []string{"write " + path, "mode 0640", "sudo"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "755") || strings.Contains(err.Error(), "chmod") {
		t.Errorf("%q opens the file system to everybody", err)
	}
}

func TestStuck(t *testing.T) {
	f := tree(t)
	f.timeout = 20 * time.Millisecond
	release := make(chan struct{})
	defer close(release)
	begin := time.Now()
	_, err := within(f, "read", "/sys/kernel/tracing/x", func() (int, error) {
		<-release
		return 0, nil
	})
	if !errors.Is(err, ErrStuck) || !strings.Contains(err.Error(), "/sys/kernel/tracing/x") {
		t.Errorf("got %v, want %v", err, ErrStuck)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("gave up after %v", d)
	}
}

func TestSelect(t *testing.T) {
	events := []string{
		"irq:irq_handler_entry", "irq:irq_handler_exit", "irq:softirq_entry", "irq:softirq_exit",
		"sched:sched_switch", "sched:sched_wakeup", "sched:sched_wakeup_new",
		"syscalls:sys_enter_open", "syscalls:sys_enter_openat", "timer:timer_start",
	}
	for _, tt := range []struct {
		name             string
		patterns, except []string
		want             string
		err              string
	}{
		{"name", []string{"sched:sched_switch"}, nil, "sched:sched_switch", ""},
		{"bpftrace's name", []string{"tracepoint:sched:sched_switch"}, nil, "sched:sched_switch", ""},
		{"order of the patterns, each once", []string{"timer:*", "irq:irq*", "timer:timer_start", "irq:*"}, nil, "timer:timer_start irq:irq_handler_entry irq:irq_handler_exit irq:softirq_entry irq:softirq_exit", ""},
		{"glob in both halves", []string{"*ed:*wake*"}, nil, "sched:sched_wakeup sched:sched_wakeup_new", ""},
		{"list", []string{"sched:sched_switch, timer:*"}, nil, "sched:sched_switch timer:timer_start", ""},
		{"classes", []string{"irq:[!s]*", "s[a-d]hed:sched_switc?"}, nil, "irq:irq_handler_entry irq:irq_handler_exit sched:sched_switch", ""},
		{"comma in a class", []string{"irq:[i,x]*"}, nil, "irq:irq_handler_entry irq:irq_handler_exit", ""},
		{"taken away before", []string{"!irq:soft*", "irq:*"}, nil, "irq:irq_handler_entry irq:irq_handler_exit", ""},
		{"taken away by exclude", []string{"irq:*"}, []string{"irq:*exit", "!irq:softirq_entry"}, "irq:irq_handler_entry", ""},
		{"exclude glob without a match", []string{"timer:*"}, []string{"x*:*"}, "timer:timer_start", ""},
		{"nothing", nil, nil, "", "none is named"},
		{"all taken away", []string{"timer:*"}, []string{"*:*"}, "", "excluded by *:*"},
		{"misspelt", []string{"shed:sched_switch"}, nil, "", `unknown event "shed:sched_switch"; did you mean sched:sched_switch?`},
		{"misspelt exclude", []string{"irq:*"}, []string{"irq:softirq_entri"}, "", "did you mean irq:softirq_entry?"},
		{"two letters swapped", []string{"sched:sched_swicth"}, nil, "", "did you mean sched:sched_switch?"},
		{"without the system", []string{"sched_switch"}, nil, "", `unknown event "sched_switch"; did you mean sched:sched_switch?`},
		{"beginning of a name", []string{"irq:softirq_"}, nil, "", "did you mean irq:softirq_entry or irq:softirq_exit?"},
		{"glob without a match", []string{"sched:foo*"}, nil, "", `no event matches "sched:foo*"`},
		{"glob, misspelt system", []string{"shed:*"}, nil, "", `no event matches "shed:*"; did you mean 'sched:*'?`},
		{"glob without the system", []string{"sched_*"}, nil, "", `did you mean '*:sched_*'?`},
		{"nothing near", []string{"zzz:qqq"}, nil, "", "'perfpipe list' shows what there is"},
		{"open class", []string{"irq:[a"}, nil, "", "a bracket does not close"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Select(events, tt.patterns, tt.except)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, %v; want %q", got, err, tt.err)
				}
				return
			}
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b        string
		limit, want int
	}{
		{"", "", 3, 0}, {"abc", "abc", 3, 0}, {"abc", "abd", 3, 1}, {"abc", "acb", 3, 1}, {"abc", "ac", 3, 1},
		{"abc", "xabc", 3, 1}, {"abc", "cba", 3, 2}, {"abcdef", "uvwxyz", 3, 4}, {"a", "abcdef", 3, 4},
	} {
		if got := distance(tt.a, tt.b, tt.limit); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a, tt.limit); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestParseErrorLog(t *testing.T) {
	const one = "[  163.4] event filter parse error: error: Field not found\n  Command: foo == 1\n               ^\n"
	for _, tt := range []struct {
		name, log, text string
		pos             int
		ok              bool
	}{
		{"one", one, "Field not found", 4, true},
		{"the last of two", one + "[  164.0] event filter parse error: error: Missing matching quote\n  Command: a == \"x\n                ^\n", "Missing matching quote", 5, true},
		{"without a caret", "[  163.4] event filter parse error: error: Operand too long\n  Command: x\n", "Operand too long", -1, true},
		{"none", "", "", -1, false},
		{"junk", "^\n  Command:\n[\n", "", -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, pos, ok := parseErrorLog(tt.log)
			if text != tt.text || pos != tt.pos || ok != tt.ok {
				t.Errorf("got %q %d %v, want %q %d %v", text, pos, ok, tt.text, tt.pos, tt.ok)
			}
			for n := range tt.log {
				parseErrorLog(tt.log[:n])
			}
		})
	}
}

func TestParseInstance(t *testing.T) {
	for name, ok := range map[string]bool{
		"perfpipe_1_2_3_0": true, "perfpipe_1_2_3": false, "perfpipe_x_2_3_0": false, "perfpipe_1_2_3_4_5": false,
		"perfpipe_-1_2_3_0": false, "other_1_2_3_0": false, "": false,
	} {
		id, got := parseInstance(name)
		if got != ok || ok && (id.pid != 1 || id.start != 2 || id.namespace != 3) {
			t.Errorf("parseInstance(%q) = %+v, %v, want %v", name, id, got, ok)
		}
	}
}
