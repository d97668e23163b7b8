package tracefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

func openLive(t *testing.T) *FS {
	t.Helper()
	testpriv.Need(t)
	f, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// Every format file of this machine parses, those of the ftrace system too, and
// its id is that of the id file.
func TestLiveFormats(t *testing.T) {
	f := openLive(t)
	paths, err := filepath.Glob(filepath.Join(f.Path(), "events", "*", "*", "format"))
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d format files, %v", len(paths), err)
	}
	flags, enums := 0, 0
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
			continue // a dynamic event that somebody took away meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		part := strings.Split(p, "/")
		s, err := ParseFormat(part[len(part)-3], b)
		if err != nil {
			t.Errorf("%s: %v", p, err)
			continue
		}
		checkSchema(t, s)
		if s.Name != part[len(part)-2] || s.Print == "" {
			t.Errorf("%s: name %q, print %q", p, s.Name, s.Print)
		}
		if n := strings.Count(string(b), "\tfield:"); n != len(s.Common)+len(s.Fields) {
			t.Errorf("%s: %d fields, the file has %d", p, len(s.Common)+len(s.Fields), n)
		}
		if id, err := os.ReadFile(filepath.Join(filepath.Dir(p), "id")); err == nil && strings.TrimSpace(string(id)) != fmt.Sprint(s.ID) {
			t.Errorf("%s: id %d, the id file says %s", p, s.ID, id)
		}
		for i := range s.Fields {
			switch {
			case s.Fields[i].FlagsDelim != "":
				flags++
			case s.Fields[i].Symbols != nil:
				enums++
			}
		}
	}
	if flags < 50 || enums < 50 {
		t.Errorf("%d fields with flags, %d with names of values", flags, enums)
	}
	t.Logf("%d formats, %d flags, %d enumerations", len(paths), flags, enums)
}

func TestLiveDryRun(t *testing.T) {
	f := openLive(t)
	for _, tt := range []struct {
		event, filter, text string
		pos                 int
	}{
		{"irq:irq_handler_entry", "irq == 18 || irq == 19", "", 0},
		{"sched:sched_switch", `prev_comm ~ "ba*" && next_prio < 100`, "", 0},
		{"irq:irq_handler_entry", "foo == 1", "Field not found", 4},
		{"irq:irq_handler_entry", "irq == 1 && bar == 2", "Field not found", 16},
		{"irq:irq_handler_entry", "irq == x", "Invalid value (did you forget quotes)?", 8},
	} {
		err := f.DryRun(tt.event, tt.filter)
		if tt.text == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.filter, err)
			}
			continue
		}
		var fe *FilterError
		if !errors.As(err, &fe) || fe.Text != tt.text || fe.Pos < 0 || fe.Pos > len(tt.filter) {
			t.Errorf("%s: got %v, want %q", tt.filter, err, tt.text)
		}
	}
	var unknown *UnknownEventError
	if err := f.DryRun("irq:none", "a == 1"); !errors.As(err, &unknown) {
		t.Errorf("an event that is not there: %v", err)
	}
	for _, empty := range []string{"", " ", "0", "a == 1\n"} {
		var fe *FilterError
		if err := f.DryRun("irq:irq_handler_entry", empty); !errors.As(err, &fe) {
			t.Errorf("filter %q: %v", empty, err)
		}
	}
	// Nothing of it is left in the event that everybody sees, nor after Close.
	b, err := f.ReadFile("events/irq/irq_handler_entry/filter")
	if err != nil || strings.TrimSpace(string(b)) != "none" {
		t.Errorf("the event's own filter is %q, %v", b, err)
	}
	name := f.private.Name()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.Path(), name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", name, err)
	}
}

func TestLiveInstances(t *testing.T) {
	f := openLive(t)
	testpriv.Lock(t) // another test's sweep would take the dead one first
	a, err := f.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := f.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.Name() == b.Name() {
		t.Errorf("two instances are called %s", a.Name())
	}
	// One of a process that is gone: a pid that no process can have.
	self, err := selfIdentity()
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(f.Path(), "instances", fmt.Sprintf("perfpipe_%d_1_%d_0", 1<<30, self.namespace))
	other := filepath.Join(f.Path(), "instances", fmt.Sprintf("perfpipe_%d_1_%d_0", 1<<30, self.namespace+1))
	for _, p := range []string{dead, other} {
		if err := os.Mkdir(p, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(p)
	}
	if n, err := f.SweepInstances(); err != nil || n < 1 {
		t.Errorf("swept %d, %v", n, err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dead process's instance is still there: %v", err)
	}
	for _, p := range []string{other, filepath.Join(f.Path(), a.Name()), filepath.Join(f.Path(), b.Name())} {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("swept too much: %v", err)
		}
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMountOf(t *testing.T) {
	const line = "42 23 0:13 / %s rw,relatime shared:7 - %s nodev rw\n"
	for _, tt := range []struct{ name, in, want string }{
		{"usual", fmt.Sprintf(line, "/sys/kernel/tracing", "tracefs"), "/sys/kernel/tracing"},
		{"below debugfs", fmt.Sprintf(line, "/sys/kernel/debug", "debugfs") + fmt.Sprintf(line, "/sys/kernel/debug/tracing", "tracefs"), "/sys/kernel/debug/tracing"},
		{"both", fmt.Sprintf(line, "/sys/kernel/debug/tracing", "tracefs") + fmt.Sprintf(line, "/sys/kernel/tracing", "tracefs"), "/sys/kernel/tracing"},
		{"elsewhere, with a blank", fmt.Sprintf(line, `/mnt/my\040trace`, "tracefs"), "/mnt/my trace"},
		{"an instance alone", strings.Replace(fmt.Sprintf(line, "/mnt/x", "tracefs"), "0:13 / ", "0:13 /instances/a ", 1), ""},
		{"none", fmt.Sprintf(line, "/sys", "sysfs"), ""},
		{"junk", "a b - \n - tracefs\n\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mountOf(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
