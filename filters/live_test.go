package filters_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// The running kernel takes every text that Push generates.
func TestKernelTakesPushedText(t *testing.T) {
	testpriv.Need(t)
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := fs.Close(); err != nil {
			t.Errorf("remove the instance: %v", err)
		}
	}()
	cpus := 1
	if b, err := os.ReadFile("/sys/devices/system/cpu/possible"); err == nil {
		s := strings.TrimSpace(string(b))
		if n, err := strconv.Atoi(s[strings.LastIndexAny(s, "-,")+1:]); err == nil {
			cpus = n + 1
		}
	}
	features := []filters.KernelFeatures{{}}
	if fs.DryRun("sched:sched_switch", "CPU & CPUS{0}") == nil {
		features = append(features, filters.KernelFeatures{CPUS: true, CPUCount: cpus})
	}
	r := rand.New(rand.NewPCG(1, 9))
	asked := map[string]int{}
	for _, event := range []string{"sched:sched_switch", "irq:irq_handler_entry", "sched:sched_process_exec", "kmem:kmalloc", "sock:inet_sock_set_state", "ipi:ipi_send_cpumask", "raw_syscalls:sys_enter", "signal:signal_generate", "syscalls:sys_enter_openat"} {
		s, err := fs.SchemaOf(event)
		if err != nil {
			t.Logf("%s: %v", event, err)
			continue
		}
		for i := 0; i < 25; i++ {
			src := randomFilter(r, s, 3)
			p, err := filters.Compile(src, s, filters.Options{})
			if err != nil {
				t.Errorf("%s: %v", event, err)
				continue
			}
			for _, k := range features {
				push := p.Push(k)
				if push.Text == "" {
					continue
				}
				asked[event]++
				if err := fs.DryRun(event, push.Text); err != nil {
					t.Errorf("%s: %s\npushed %s: %v", event, src, push.Text, err)
				}
			}
		}
		if asked[event] < 10 {
			t.Errorf("%s: only %d texts were pushed", event, asked[event])
		}
	}
}

// randomFilter writes a filter on s's own fields and on what every event has.
func randomFilter(r *rand.Rand, s *perfpipe.Schema, depth int) string {
	if depth > 0 {
		x, y := randomFilter(r, s, depth-1), randomFilter(r, s, depth-1)
		switch r.IntN(5) {
		case 0, 1:
			return x + " && " + y
		case 2:
			return "(" + x + " || " + y + ")"
		case 3:
			return "!(" + x + ")"
		}
	}
	list := [...][]perfpipe.Field{s.Fields, s.Common}[r.IntN(5)/4]
	f := &list[r.IntN(len(list))]
	pick := func(l ...string) string { return l[r.IntN(len(l))] }
	text := pick(`"bash"`, `"a'b"`, `'a"b'`, `"1x"`, `"*x"`, `""`, `"a[b"`, `"x\y"`, `"!q"`, `"µ"`)
	switch r.IntN(6) {
	case 0:
		return pick("CPU", "$cpu", "$tid") + pick(" == ", " < ", " >= ", " != ") + pick("0", "1", "3")
	case 1:
		return pick("COMM", "$comm") + pick(" == ", " != ", " ~ ") + pick(`"bash"`, `"k*"`, `"*sh"`, `"*a*"`, `"1*"`, `"[ab]*"`, `"!x*"`)
	}
	name := f.Name
	switch {
	case f.Kind == perfpipe.KindString:
		return pick(name+" == "+text, name+" != "+text, "startswith("+name+", "+text+")", "endswith("+name+", "+text+")", "contains("+name+", "+text+")", name+` ~ "a?[b-c]*"`)
	case f.Kind == perfpipe.KindCPUMask:
		return name + pick(" & ", " == ", " != ") + "CPUS{0}"
	case f.Kind == perfpipe.KindPointer && strings.Contains(f.CType, "char") && r.IntN(2) == 0:
		return name + ".ustring" + pick(" == ", " != ") + text
	case f.Loc != perfpipe.LocStatic || f.Array || f.Size != 1 && f.Size != 2 && f.Size != 4 && f.Size != 8:
		return "CPU == 0"
	}
	v := r.Uint64() >> r.IntN(64)
	bits := uint(f.Size * 8)
	c := strconv.FormatUint(v<<(64-bits)>>(64-bits), 10)
	if f.Signed {
		c = strconv.FormatInt(int64(v<<(64-bits))>>(64-bits), 10)
	}
	switch r.IntN(4) {
	case 0:
		return name + " & " + c
	case 1:
		return "(" + name + " & " + c + ") " + pick("==", "!=") + " " + pick(c, "0")
	case 2:
		return name + " in {" + c + ", 0..9}"
	}
	return name + pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + c
}

// The running kernel refuses a filter where a kernel-compat compilation does.
func TestKernelRefusesOnlyWhatWeRefuse(t *testing.T) {
	testpriv.Need(t)
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := fs.Close(); err != nil {
			t.Errorf("remove the instance: %v", err)
		}
	}()
	s, err := fs.SchemaOf("sched:sched_switch")
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{
		"prev_pid == 1", "prev_pid == 4294967297", "nosuch == 1", "prev_comm == 1", "prev_pid == \"x\"", "prev_pid == 08", "prev_comm < \"x\"", "prev_pid % 2",
		"prev_pid == 9223372036854775808", "common_flags == -1", "prev_comm ~ \"*sh\"", "prev_pid == 1 next_pid", "stacktrace == 1", "prev_comm.ustring == \"x\"",
	} {
		kernel := fs.DryRun("sched:sched_switch", src)
		_, ours := filters.Compile(src, s, filters.Options{KernelCompat: true})
		if (kernel == nil) != (ours == nil) {
			t.Errorf("%s: the kernel says %v, we say %v", src, kernel, ours)
		}
	}
}
