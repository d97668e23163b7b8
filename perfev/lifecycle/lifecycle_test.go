package lifecycle

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

func TestRows(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"fork, exec, exit", `
			10/10 task_newtask pid=11 comm=sh clone_flags=0x1200011
			11/11 task_rename pid=11 oldcomm=sh newcomm=true
			11/11 sched_process_exec filename=/bin/true pid=11 old_pid=11
			11/11 sys_exit_execve ret=0
			11/11 sys_enter_exit_group error_code=3
			11/11 sched_process_exit pid=11 group_dead=1
			11/11 signal_generate sig=17 code=1 comm=sh pid=10 group=1
			10/10 signal_deliver sig=17 code=1 sa_handler=0x4000`, `
			10/10 fork child_pid=11 child_tid=11 clone_flags=0x1200011
			11/11 rename target=11 old_comm="sh" new_comm="true"
			11/11 exec filename="/bin/true" old_tid=11
			11/11 exit exit_code=3 group_dead=1
			11/11 signal_sent errno=0 signal=17 signal_code=1 target=10 target_comm="sh" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=17 signal_code=1 handler=0x4000`},
		{"exec fails", `
			10/10 sys_exit_execve ret=-2
			10/10 sys_exit_execveat ret=-13
			10/10 sys_exit_execve ret=0`, `
			10/10 exec_failure errno=2
			10/10 exec_failure errno=13`},
		{"threads, each its code, then the process its own", `
			10/10 task_newtask pid=11 clone_flags=0x3d0f00
			10/10 task_newtask pid=12 clone_flags=0x3d0f00
			10/11 sys_enter_exit error_code=5
			10/11 sched_process_exit pid=11
			10/12 sys_enter_exit_group error_code=260
			10/10 signal_deliver sig=9
			10/12 sched_process_exit pid=12
			10/10 sched_process_exit pid=10 group_dead=1`, `
			10/10 clone child_pid=10 child_tid=11 clone_flags=0x3d0f00
			10/10 clone child_pid=10 child_tid=12 clone_flags=0x3d0f00
			10/11 exit exit_code=5 group_dead=0
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/12 exit exit_code=4 group_dead=0
			10/10 exit exit_code=4 group_dead=1`},
		{"two threads call exit_group: the first counts", `
			10/10 sys_enter_exit_group error_code=1
			10/11 sys_enter_exit_group error_code=2
			10/11 sched_process_exit pid=11
			10/10 sched_process_exit pid=10 group_dead=1`, `
			10/11 exit exit_code=1 group_dead=0
			10/10 exit exit_code=1 group_dead=1`},
		{"SIGTERM is delivered as SIGKILL", `
			20/20 signal_generate sig=15 comm=x pid=10 group=1
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10 group_dead=1`, `
			20/20 signal_sent errno=0 signal=15 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit core=0 signal=15 group_dead=1`},
		{"a signal that is handled, then SIGKILL", `
			20/20 signal_generate sig=10 comm=x pid=10 group=1
			10/10 signal_deliver sig=10 sa_handler=0x99
			20/20 signal_generate sig=15 comm=x pid=10 group=1
			20/20 signal_generate sig=9 comm=x pid=10 group=1
			20/20 signal_generate sig=1 comm=x pid=10 group=1 result=1
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10 group_dead=1`, `
			20/20 signal_sent errno=0 signal=10 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=10 signal_code=0 handler=0x99
			20/20 signal_sent errno=0 signal=15 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			20/20 signal_sent errno=0 signal=9 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			20/20 signal_sent errno=0 signal=1 signal_code=0 target=10 target_comm="x" to_group=1 result=ignored
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit core=0 signal=9 group_dead=1`},
		{"a fault dumps core, its other threads with it", `
			10/10 task_newtask pid=11 clone_flags=0x10000
			10/11 signal_generate sig=11 code=1 comm=x pid=11
			10/11 signal_deliver sig=11 code=1
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10
			10/11 sched_process_exit pid=11 group_dead=1`, `
			10/10 clone child_pid=10 child_tid=11 clone_flags=0x10000
			10/11 signal_sent errno=0 signal=11 signal_code=1 target=11 target_comm="x" to_group=0 result=delivered
			10/11 signal_delivered errno=0 signal=11 signal_code=1 handler=0x0
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit core=1 signal=11 group_dead=0
			10/11 exit core=1 signal=11 group_dead=1`},
		{"a thread is sent SIGTERM, another sees it first", `
			10/10 task_newtask pid=11 clone_flags=0x10000
			20/20 signal_generate sig=15 comm=x pid=11
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10`, `
			10/10 clone child_pid=10 child_tid=11 clone_flags=0x10000
			20/20 signal_sent errno=0 signal=15 signal_code=0 target=11 target_comm="x" to_group=0 result=delivered
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit core=0 signal=15 group_dead=0`},
		{"signals that end nothing", `
			20/20 signal_generate sig=17 comm=x pid=10 group=1
			20/20 signal_generate sig=19 comm=x pid=10 group=1
			10/10 signal_deliver sig=28
			10/10 signal_deliver sig=15 sa_handler=1
			10/10 sched_process_exit pid=10 group_dead=1`, `
			20/20 signal_sent errno=0 signal=17 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			20/20 signal_sent errno=0 signal=19 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=28 signal_code=0 handler=0x0
			10/10 signal_delivered errno=0 signal=15 signal_code=0 handler=0x1
			10/10 exit group_dead=1`},
		{"SIGKILL of nobody that was seen", `
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10 group_dead=1`, `
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit group_dead=1`},
		{"what dumps core ends nothing before it is delivered", `
			20/20 signal_generate sig=15 comm=x pid=10 group=1
			20/20 signal_generate sig=3 comm=x pid=10 group=1
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10 group_dead=1`, `
			20/20 signal_sent errno=0 signal=15 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			20/20 signal_sent errno=0 signal=3 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit core=0 signal=15 group_dead=1`},
		{"a signal that was handled ends nothing later", `
			20/20 signal_generate sig=10 comm=x pid=10 group=1
			10/10 signal_deliver sig=10 sa_handler=0x99
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10 group_dead=1`, `
			20/20 signal_sent errno=0 signal=10 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=10 signal_code=0 handler=0x99
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit group_dead=1`},
		{"exec with a signal pending", `
			20/20 signal_generate sig=10 comm=x pid=10 group=1
			10/10 signal_deliver sig=9
			10/10 sched_process_exec filename=/bin/x pid=10 old_pid=11
			10/12 sys_enter_exit_group error_code=6
			10/10 sched_process_exit pid=10 group_dead=1`, `
			20/20 signal_sent errno=0 signal=10 signal_code=0 target=10 target_comm="x" to_group=1 result=delivered
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exec filename="/bin/x" old_tid=11
			10/10 exit exit_code=6 group_dead=1`},
		{"init outlives a signal", `
			1/1 signal_deliver sig=15
			1/1 sys_enter_exit_group error_code=0
			1/1 sched_process_exit pid=1 group_dead=1`, `
			1/1 signal_delivered errno=0 signal=15 signal_code=0 handler=0x0
			1/1 exit exit_code=0 group_dead=1`},
		{"exec of a thread", `
			10/10 task_newtask pid=11 clone_flags=0x10000
			10/10 signal_deliver sig=9
			10/10 sched_process_exit pid=10
			10/10 sched_process_exec filename=/bin/x pid=10 old_pid=11
			10/10 sys_enter_exit_group error_code=0
			10/10 sched_process_exit pid=10 group_dead=1`, `
			10/10 clone child_pid=10 child_tid=11 clone_flags=0x10000
			10/10 signal_delivered errno=0 signal=9 signal_code=0 handler=0x0
			10/10 exit group_dead=0
			10/10 exec filename="/bin/x" old_tid=11
			10/10 exit exit_code=0 group_dead=1`},
		{"a number is used again", `
			10/10 sys_enter_exit_group error_code=3
			5/5 task_newtask pid=10 clone_flags=17
			10/10 sched_process_exit pid=10 group_dead=1`, `
			5/5 fork child_pid=10 child_tid=10 clone_flags=0x11
			10/10 exit group_dead=1`},
		{"a loss makes null, not wrong", `
			10/10 sys_enter_exit_group error_code=3
			lost sched:sched_process_exit
			10/10 sched_process_exit pid=10 group_dead=1
			11/11 sys_enter_exit_group error_code=4
			lost -
			11/11 sched_process_exit pid=11 group_dead=1`, `
			10/10 exit group_dead=1
			11/11 exit group_dead=1`},
		{"the process is not known", `
			-1/10 task_newtask pid=11 clone_flags=0x10000
			-1/10 task_newtask pid=12
			-1/10 sys_enter_exit_group error_code=3
			-1/10 sched_process_exit pid=10 group_dead=1`, `
			-1/10 clone child_tid=11 clone_flags=0x10000
			-1/10 fork child_pid=12 child_tid=12 clone_flags=0x0
			-1/10 exit exit_code=3 group_dead=1`},
		{"an empty file name and names of 15 bytes", `
			10/10 sched_process_exec filename= pid=10 old_pid=10
			10/10 task_rename pid=12 oldcomm=123456789012345 newcomm=`, `
			10/10 exec filename="" old_tid=10
			10/10 rename target=12 old_comm="123456789012345" new_comm=""`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := wrapped(t, formatsOf(t, allEvents()...), Options{Events: allEvents()}, lines(tt.in)...)
			want := lines(tt.want)
			// The order of columns is the schema's, that of the cases is free.
			for i := range want {
				want[i] = sorted(want[i])
			}
			for i := range out.lines {
				out.lines[i] = sorted(out.lines[i])
			}
			if !slices.Equal(out.lines, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(out.lines, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func lines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func sorted(line string) string {
	w := strings.Fields(line)
	slices.Sort(w[2:])
	return strings.Join(w, " ")
}

func TestOthersPass(t *testing.T) {
	schemas := formatsOf(t, "sched:sched_switch", evNewTask, evRename, evFork)
	o := Options{Events: []string{evNewTask, evRename}, Keep: []string{evRename}}
	out := wrapped(t, schemas, o,
		"1/1 sched_switch", "1/1 task_newtask pid=2", "1/1 task_rename pid=1", "1/1 sched_process_fork child_pid=2",
		"lost "+evNewTask, "lost "+evRename, "lost "+evFork, "lost -")
	var names []string
	for _, s := range out.schemas {
		names = append(names, s.Event())
	}
	if want := []string{"sched:sched_switch", evRename, evFork, Event}; !slices.Equal(names, want) {
		t.Errorf("schemas: got %v, want %v", names, want)
	}
	want := []string{"1/1 sched_switch", "1/1 fork", "1/1 task_rename", "1/1 rename", "1/1 sched_process_fork"}
	for i, l := range out.lines {
		out.lines[i] = strings.Join(strings.Fields(l)[:2], " ")
	}
	if !slices.Equal(out.lines, want) {
		t.Errorf("records: got %q, want %q", out.lines, want)
	}
	if got, want := fmt.Sprint(out.lost), "map[ ring_full:1 perfpipe:lifecycle ring_full:2 sched:sched_process_fork ring_full:1 task:task_rename ring_full:1]"; got != want {
		t.Errorf("lost: got %v, want %v", got, want)
	}
}

// TestPassing holds that the rest of a record and of a source reaches the reader.
func TestPassing(t *testing.T) {
	schemas := formatsOf(t, evRename)
	r := record(t, schemas, "3/4 task_rename pid=4 oldcomm=a newcomm=b")
	r.Time = 99
	sc := &script{schemas: schemas, do: []func(perfpipe.Visitor){
		func(v perfpipe.Visitor) { v.Record(&r) },
		func(v perfpipe.Visitor) { v.Task(perfpipe.Task{}) },
		func(v perfpipe.Visitor) { v.Record(&perfpipe.Record{Event: 1}) },
		func(v perfpipe.Visitor) { v.Record(&perfpipe.Record{Event: -1}) },
	}}
	src, err := Wrap(sc, Options{Events: []string{evRename}})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{seen: seen{t: t, schemas: src.Schemas()}}
	_ = src.Read(0, k)
	got := k.last
	got.Raw = nil
	if want := (perfpipe.Record{Time: 99, Comm: "task", PID: 3, TID: 4, CPU: 1, Stack: 7, Cgroup: 8}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("record: got %+v, want %+v", got, want)
	}
	if k.tasks != 1 || k.lost[" corrupt"] != 2 {
		t.Errorf("got %d tasks, lost %v, want 1, 2 corrupt", k.tasks, k.lost)
	}
	if err := errors.Join(src.Stop(), src.Close()); err != nil || sc.stopped != 1 || sc.closed != 1 {
		t.Errorf("stop and close: got %v, %d, %d", err, sc.stopped, sc.closed)
	}
}

type keeper struct {
	seen
	last perfpipe.Record
}

func (k *keeper) Record(r *perfpipe.Record) { k.last = *r }

func TestEveryPrefix(t *testing.T) {
	schemas := formatsOf(t, append(allEvents(), evFork)...)
	for _, line := range []string{
		"1/1 task_newtask pid=2 clone_flags=17", "1/1 sched_process_fork child_pid=2", "1/1 sched_process_exec filename=/bin/x pid=1 old_pid=1",
		"1/1 sys_exit_execve ret=-2", "1/1 sys_exit_execveat ret=-2", "1/1 sys_enter_exit_group error_code=1", "1/1 sys_enter_exit error_code=1",
		"1/1 sched_process_exit pid=1 group_dead=1", "1/1 signal_generate sig=1 pid=2", "1/1 signal_deliver sig=1", "1/1 task_rename pid=2 oldcomm=a newcomm=b",
	} {
		whole := record(t, schemas, line)
		event := schemas[whole.Event].Event()
		last := 0
		for n := range len(whole.Raw) + 1 {
			r := whole
			r.Raw = whole.Raw[:n:n]
			sc := &script{schemas: schemas, do: []func(perfpipe.Visitor){func(v perfpipe.Visitor) { v.Record(&r) }}}
			src, err := Wrap(sc, Options{Events: []string{event}})
			if err != nil {
				t.Fatal(err)
			}
			out := &seen{t: t, schemas: src.Schemas()}
			_ = src.Read(0, out)
			lost := int(out.lost[Event+" corrupt"])
			if out.rows+lost > 1 || lost == 1 && last == 2 {
				t.Errorf("%s: %d of %d bytes: %d rows, %d lost", event, n, len(whole.Raw), out.rows, lost)
			}
			if last = 2; lost == 1 {
				last = 1
			}
		}
		if last != 2 {
			t.Errorf("%s: the whole record is lost", event)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	schemas := formatsOf(t, allEvents()...)
	var recs []perfpipe.Record
	for _, l := range lines(`
		10/10 task_newtask pid=11 comm=sh clone_flags=0x1200011
		11/11 sched_process_exec filename=/bin/true pid=11 old_pid=11
		20/20 signal_generate sig=17 comm=x pid=10 group=1
		10/10 signal_deliver sig=10 sa_handler=0x99
		11/11 sched_process_exit pid=11 group_dead=1`) {
		recs = append(recs, record(t, schemas, l))
	}
	src, err := Wrap(&script{schemas: schemas}, Options{Events: allEvents()})
	if err != nil {
		t.Fatal(err)
	}
	src.out.Visitor = &keeper{}
	n := testing.AllocsPerRun(100, func() {
		for i := range recs {
			src.out.Record(&recs[i])
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations for %d records, want none", n, len(recs))
	}
	if got := len(src.build.group) + len(src.build.procs) + len(src.build.code); got > 3 {
		t.Errorf("got %d tasks kept, want those alive", got)
	}
}

// TestForgets holds that nothing is kept of tasks that have ended, and nothing at all
// after a record that could not be read.
func TestForgets(t *testing.T) {
	schemas := formatsOf(t, allEvents()...)
	src, err := Wrap(&script{schemas: schemas}, Options{Events: allEvents()})
	if err != nil {
		t.Fatal(err)
	}
	out := &seen{t: t, schemas: src.Schemas()}
	src.out.Visitor = out
	run := func(text string) {
		for _, l := range lines(text) {
			r := record(t, schemas, l)
			src.out.Record(&r)
		}
	}
	run(`
		10/10 task_newtask pid=11 clone_flags=17
		11/11 task_newtask pid=12 clone_flags=0x10000
		11/12 task_rename pid=12
		11/12 sys_exit_execve ret=-2
		11/12 sys_enter_exit error_code=2
		11/12 sched_process_exit pid=12
		20/20 signal_generate sig=15 pid=11 group=1
		11/11 signal_deliver sig=9
		11/11 sched_process_exit pid=11 group_dead=1
		11/11 signal_generate sig=17 pid=10 group=1`)
	if k := src.build.lives; len(k.group) != 1 || len(k.procs) != 0 || len(k.code) != 0 {
		t.Errorf("kept: got groups %v, processes %v, codes %v, want the group of 10", k.group, k.procs, k.code)
	}
	run("10/10 sys_enter_exit_group error_code=3")
	short := record(t, schemas, "10/10 signal_deliver sig=9")
	short.Raw = short.Raw[:20]
	src.out.Record(&short)
	rows := out.rows
	run("10/10 sched_process_exit pid=10 group_dead=1")
	if last := out.lines[len(out.lines)-1]; out.rows != rows+1 || last != "10/10 exit group_dead=1" {
		t.Errorf("after a record that is cut: got %q, want an exit that says no code", last)
	}
}

func TestWrapRefuses(t *testing.T) {
	lacking := format(t, evNewTask)
	lacking.Fields = lacking.Fields[:2]
	tests := []struct {
		name    string
		schemas []*perfpipe.Schema
		events  []string
		want    string
	}{
		{"an event is not there", formatsOf(t, evRename), []string{evRename, evExit}, "1 of the 2"},
		{"an event of another kind", formatsOf(t, "sched:sched_switch"), []string{"sched:sched_switch"}, "tells nothing"},
		{"a field is not there", []*perfpipe.Schema{lacking}, []string{evNewTask}, "no field clone_flags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Wrap(&script{schemas: tt.schemas}, Options{Events: tt.events})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	none := &tracefs.UnknownEventError{}
	tests := []struct {
		name    string
		lack    string
		err     error
		want    int
		missing string
	}{
		{"all", "", nil, 10, ""},
		{"no events of system calls", "syscalls:", none, 6, "null where a process ended by exit"},
		{"no task_newtask", evNewTask, fs.ErrNotExist, 10, "takes its place"},
		{"no task events at all", "task:", none, 9, "no rows of rename"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, missing, err := Events(func(e string) (*perfpipe.Schema, error) {
				if tt.lack != "" && strings.HasPrefix(e, tt.lack) {
					return nil, fmt.Errorf("event %s: %w", e, tt.err)
				}
				return &perfpipe.Schema{}, nil
			})
			if err != nil || len(events) != tt.want {
				t.Errorf("got %v, %v, want %d events", events, err, tt.want)
			}
			if got := fmt.Sprint(missing); (tt.missing == "") != (len(missing) == 0) || !strings.Contains(got, tt.missing) {
				t.Errorf("missing: got %v, want %q in it", missing, tt.missing)
			}
		})
	}
	if _, _, err := Events(func(string) (*perfpipe.Schema, error) { return nil, fs.ErrPermission }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("no permission: got %v", err)
	}
	if _, missing, err := Events(func(string) (*perfpipe.Schema, error) { return nil, fs.ErrNotExist }); err == nil || len(missing) != 10 {
		t.Errorf("none: got %v, %v", missing, err)
	}
}

func TestSchema(t *testing.T) {
	s := Schema()
	names, end := map[string]bool{}, fieldsOffset
	for i, f := range s.Fields {
		if names[f.Name] || f.Offset != end || f.Size < 1 {
			t.Errorf("field %s: got offset %d, size %d, want offset %d", f.Name, f.Offset, f.Size, end)
		}
		names[f.Name], end = true, f.Offset+f.Size
		if (f.Probed == nil) != (i == 0) || f.Probed != nil && int(f.Probed.Bit) != i {
			t.Errorf("field %s: got %+v", f.Name, f.Probed)
		}
	}
	if s.Size != end || len(s.Common) != 4 || s.Table != "_lifecycle" || len(s.Fields) > 32 {
		t.Errorf("got size %d, %d common fields, table %s, %d fields", s.Size, len(s.Common), s.Table, len(s.Fields))
	}
	if Fork.String() != "fork" || Rename.String() != "rename" || Kind(0).String() != "unknown" {
		t.Errorf("kinds: got %v, %v, %v", Fork, Rename, Kind(0))
	}
}

// FuzzWrap holds that each record, whatever its bytes, is a row, a fact for later rows
// (calls of exit, execve that succeeded) or counted as lost.
func FuzzWrap(f *testing.F) {
	schemas := formatsOf(f, append(allEvents(), evFork, "sched:sched_switch")...)
	events := append(allEvents(), evFork)
	for _, l := range []string{
		"1/1 task_newtask pid=2 clone_flags=17", "1/1 sched_process_exec filename=/bin/x pid=1 old_pid=1", "1/1 sys_exit_execve ret=-2",
		"1/1 sched_process_exit pid=1 group_dead=1", "1/1 signal_generate sig=1 pid=2", "1/1 signal_deliver sig=1", "1/1 sched_process_fork child_pid=2",
	} {
		r := record(f, schemas, l)
		f.Add(uint8(r.Event), int32(1), int32(1), r.Raw)
	}
	f.Fuzz(func(t *testing.T, event uint8, pid, tid int32, raw []byte) {
		sc := &script{schemas: schemas}
		n := 0
		// The bytes are cut into records, so that one sees what another left behind.
		for len(raw) > 0 && n < 16 {
			size := min(len(raw), 8+int(raw[0]))
			r := perfpipe.Record{Event: int(event) % (len(schemas) + 1), PID: pid, TID: tid, Raw: raw[:size:size]}
			sc.do = append(sc.do, func(v perfpipe.Visitor) { v.Record(&r) })
			event += raw[size-1]
			tid, pid, raw = pid, tid+1, raw[size:]
			n++
		}
		src, err := Wrap(sc, Options{Events: events})
		if err != nil {
			t.Fatal(err)
		}
		out := &seen{t: t, schemas: src.Schemas()}
		facts := 0
		for i := range src.read {
			if d := src.read[i]; d != nil {
				inner := d.decode
				d.decode = func(b *builder, d *decoder, r *perfpipe.Record) outcome {
					o := inner(b, d, r)
					if o == asFact {
						facts++
					}
					return o
				}
			}
		}
		_ = src.Read(0, out)
		others := len(out.lines) - out.rows
		if lost := int(out.lost[Event+" corrupt"] + out.lost[" corrupt"]); out.rows+facts+lost+others != n {
			t.Fatalf("%d records: %d rows, %d facts, %d lost, %d others", n, out.rows, facts, lost, others)
		}
	})
}
