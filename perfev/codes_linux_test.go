package perfev

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// decided records what load does with programs that decide by text, one for each event.
func decided(t *testing.T, cfg Config, load func(), text string, o filters.Options) (*kept, *Source) {
	t.Helper()
	for i := range cfg.Events {
		p, err := filters.Compile(text, cfg.Events[i].Schema, o)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Events[i].Code, err = p.BPF(); err != nil {
			t.Fatal(err)
		}
	}
	return recorded(t, cfg, load)
}

// recorded records what load does.
func recorded(t *testing.T, cfg Config, load func()) (*kept, *Source) {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	load()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	k := &kept{}
	for err = nil; err == nil; err = s.Read(time.Millisecond, k) {
		continue
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return k, s
}

// TestCode: programs of every kind keep what the filter says, with what it emits, and
// count its faults.
func TestCode(t *testing.T) {
	testpriv.Need(t)
	const n = 3000
	for _, tt := range []struct {
		name, event string
		fields      int // the end of the fields in place
	}{
		{"a system call's own program", "syscalls:sys_enter_getppid", 16},
		{"its return", "syscalls:sys_exit_getppid", 24},
		{"a copy of the record", "task:task_rename", 0},
	} {
		load := func() {
			onCPU(t, 0, func() {
				if tt.event == "task:task_rename" {
					renames(t, n)
					return
				}
				getppids(n)
			})
		}
		cfg := Config{Engine: EngineBPF, Target: Target{PIDs: []int{os.Getpid()}}, KeepSelf: true}
		for _, late := range []string{"", " || $time == 0"} {
			cfg.Events = eventsOf(t, tt.event)
			k, s := decided(t, cfg, load, "map<tid, u64> seen[4096]; { seen[common_pid] += 1; u64 c = seen[common_pid]; emit u64 nth = c; if (c % 5 == 0) { emit s32 odd = -7; } return c % 3 == 0"+late+"; }", filters.Options{})
			if !s.Decides(0) || s.Undecided(0) != nil {
				t.Fatalf("%s: no program decides: %v", tt.name, s.Undecided(0))
			}
			byTask := make(map[int32]uint64)
			for i := range k.records {
				r := &k.records[i]
				nth, ok := r.Emitted(0)
				odd, has := r.Emitted(1)
				if !ok || nth%3 != 0 || has != (nth%5 == 0) || has && int64(odd) != -7 {
					t.Fatalf("%s: got %d (%v) and %d (%v)", tt.name, nth, ok, int64(odd), has)
				}
				if nth <= byTask[r.TID] {
					t.Fatalf("%s: got %d behind %d", tt.name, nth, byTask[r.TID])
				}
				byTask[r.TID] = nth
				if tt.fields > 0 && len(r.Raw) != tt.fields {
					t.Fatalf("%s: got %d bytes, want %d", tt.name, len(r.Raw), tt.fields)
				}
			}
			if len(k.records) != n/3 && len(byTask) < 2 || len(k.losses) > 0 {
				t.Errorf("%s%s: got %d records, %d losses, want %d and none", tt.name, late, len(k.records), len(k.losses), n/3)
			}
		}
		for _, o := range []filters.Options{{}, {OnFault: filters.Pass}} {
			cfg.Events = eventsOf(t, tt.event)
			k, s := decided(t, cfg, load, "percpu state u64 n; { n += 1; return 10 / (n % 2) > 100; }", o)
			faults := s.Faults(0)[filters.FaultDivision]
			lost := k.lost(perfpipe.LostFilterFault)
			want := lost
			if o.OnFault == filters.Pass {
				want = uint64(len(k.records))
			}
			if faults < n/2-1 || faults != want || o.OnFault != filters.Pass && len(k.records) > 0 {
				t.Errorf("%s: %d faults, %d lost, %d records of %d events", tt.name, faults, lost, len(k.records), n)
			}
		}
	}
}

// TestCodeOfTexts: what is decided before the record has its place leaves the texts
// behind it whole, be they short or long.
func TestCodeOfTexts(t *testing.T) {
	testpriv.Need(t)
	cfg := Config{Engine: EngineBPF, Events: eventsOf(t, "sched:sched_process_exec"), Target: Target{PIDs: []int{os.Getpid()}}, KeepSelf: true}
	for _, text := range []string{"pid > 0", "pid > 0 && $time > 0", "{ emit s64 p = pid; return old_pid > 0; }"} {
		var names []string
		k, s := decided(t, cfg, func() {
			_, goOn := shell(t, "/bin/true")
			goOn()
			_, goOn = shell(t, "exec /bin/./././././././././././././././././././././././././././././././././././././././././././././true")
			goOn()
		}, text, filters.Options{})
		if !s.Decides(0) {
			t.Fatalf("%s: no program decides: %v", text, s.Undecided(0))
		}
		names = filenames(k, cfg.Events[0].Schema)
		if n := len(names); n < 4 || names[n-1] != "true" {
			t.Errorf("%s: got %q", text, names)
		}
	}
}

// TestCodeOfOtherProcessors: what happens on a processor that is not recorded changes
// nothing that code keeps.
func TestCodeOfOtherProcessors(t *testing.T) {
	testpriv.Need(t)
	if runtime.NumCPU() < 2 {
		t.Skip("it takes two processors")
	}
	for _, event := range []string{"raw_syscalls:sys_enter", "syscalls:sys_enter_getppid", "task:task_rename"} {
		cfg := Config{Engine: EngineBPF, Events: eventsOf(t, event), Target: Target{CPUs: []int{0}}, KeepSelf: true}
		k, s := decided(t, cfg, func() {
			for _, cpu := range []int{0, 1, 0} {
				onCPU(t, cpu, func() {
					getppids(500)
					renames(t, 500)
				})
			}
		}, "map<cpu, u64> all[64]; percpu state u64 n; { n += 1; all[0] += 1; emit u64 nth = n; emit u64 of_all = all[0]; return true; }", filters.Options{})
		if !s.Decides(0) || len(k.records) < 1000 {
			t.Fatalf("%s: %d records, decided %v", event, len(k.records), s.Decides(0))
		}
		for i := range k.records {
			nth, _ := k.records[i].Emitted(0)
			all, _ := k.records[i].Emitted(1)
			if want := uint64(i + 1); nth != want || all != want || k.records[i].CPU != 0 {
				t.Fatalf("%s: record %d of processor %d: got %d and %d, want %d", event, i, k.records[i].CPU, nth, all, want)
			}
		}
	}
}

// TestCodeThatIsRefused: where the verifier says no, the event is recorded whole, and it
// is told in one line.
func TestCodeThatIsRefused(t *testing.T) {
	testpriv.Need(t)
	cfg := Config{Engine: EngineBPF, Events: eventsOf(t, "syscalls:sys_enter_getppid"), Target: Target{PIDs: []int{os.Getpid()}}, KeepSelf: true}
	cfg.Events[0].Code = &bpf.Filter{Write: func(*bpf.Place) (asm.Instructions, error) {
		return asm.Instructions{asm.LoadMem(asm.R0, asm.R7, 4000, asm.DWord)}, nil
	}}
	k, s := recorded(t, cfg, func() { getppids(100) })
	if err := s.Undecided(0); s.Decides(0) || err == nil || len(err.Error()) > 120 {
		t.Errorf("decided %v, because of %v", s.Decides(0), err)
	}
	if len(k.records) < 100 {
		t.Errorf("got %d records, want all 100", len(k.records))
	}
	// The second attempt takes no counter from others: eight of them fill a line.
	cfg.Events = append(cfg.Events, eventsOf(t, "syscalls:sys_enter_getpid", "raw_syscalls:sys_enter", "raw_syscalls:sys_exit", "sched:sched_switch", "sched:sched_wakeup", "task:task_rename", "sched:sched_process_exec")...)
	if k, s = recorded(t, cfg, func() { getppids(100) }); s.Decides(0) || s.Undecided(0) == nil || len(k.records) < 100 {
		t.Errorf("of eight events: decided %v, because of %v, %d records", s.Decides(0), s.Undecided(0), len(k.records))
	}
}
