package tracefs

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What the methods of an instance set is there in its files, and in nobody else's.
func TestLiveInstanceIsSetUp(t *testing.T) {
	f := openLive(t)
	in, err := f.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(name, want string) {
		t.Helper()
		b, err := in.ReadFile(name)
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: got %q, %v, want %q in it", name, b, err, want)
		}
	}
	must(in.Off())
	has("tracing_on", "0")
	must(in.Clock("mono"))
	has("trace_clock", "[mono]")
	size := os.Getpagesize()
	if err := in.SetSubbuf(4 * size); err == nil {
		size *= 4
	} else if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if got, err := in.Subbuf(os.Getpagesize()); err != nil || got != size {
		t.Errorf("sub-buffers of %d bytes, %v, want %d", got, err, size)
	}
	must(in.SetBuffer(1 << 20))
	b, err := in.ReadFile("buffer_size_kb")
	if n := strings.TrimSpace(string(b)); err != nil || n < "1024" || len(n) != 4 {
		t.Errorf("rings of %s KiB, %v", n, err)
	}
	must(in.SetPercent(25))
	has("buffer_percent", "25")
	must(in.Option("nooverwrite"))
	has("trace_options", "nooverwrite")
	if err := in.Option("none-such"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("an option that there is not: got %v", err)
	}
	must(in.SetCPUs([]int{0}))
	has("tracing_cpumask", "1")
	if got, err := in.PIDs(); err != nil || len(got) != 0 {
		t.Errorf("threads: got %v, %v", got, err)
	}
	var tids []int
	for i := range 1000 {
		tids = append(tids, i+2)
	}
	must(in.AddPIDs(tids[:10]))
	must(in.AddPIDs(tids))
	if got, err := in.PIDs(); err != nil || !slices.Equal(got, tids) {
		t.Errorf("threads: got %d, %v, want %d", len(got), err, len(tids))
	}
	must(in.SetFilter("sched:sched_switch", "next_prio < 100"))
	has("events/sched/sched_switch/filter", "next_prio < 100")
	if err := in.SetFilter("sched:sched_switch", "none == 1"); err == nil {
		t.Error("a filter of no field was taken")
	}
	var unknown *UnknownEventError
	if err := in.SetFilter("../x", "a == 1"); !errors.As(err, &unknown) {
		t.Errorf("no event: got %v", err)
	}
	must(in.Enable([]string{"sched:sched_switch", "irq:softirq_raise"}))
	has("events/sched/sched_switch/enable", "1")
	has("events/irq/softirq_raise/enable", "1")
	has("events/irq/softirq_entry/enable", "0")
	if err := in.Enable([]string{"sched:none"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an event that there is not: got %v", err)
	}
	// A whole system, at once.
	list, err := f.Events()
	must(err)
	all := slices.DeleteFunc(list, func(e string) bool { return !strings.HasPrefix(e, "workqueue:") })
	if !in.whole("workqueue", len(all)) {
		t.Errorf("workqueue has more than %d events", len(all))
	}
	must(in.Enable(all))
	has("events/workqueue/enable", "1")
	if b, err := f.ReadFile("events/sched/sched_switch/filter"); err != nil || strings.TrimSpace(string(b)) != "none" {
		t.Errorf("everybody's filter is %q, %v", b, err)
	}

	cpus, err := in.CPUs()
	if err != nil || len(cpus) == 0 || cpus[0] != 0 {
		t.Fatalf("processors: got %v, %v", cpus, err)
	}
	if s, err := in.Stats(0); err != nil || s.Lost() != 0 {
		t.Errorf("stats: got %+v, %v", s, err)
	}
	fd, err := in.OpenRaw(0)
	must(err)
	if _, err := syscall.Read(fd, make([]byte, size)); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("an empty ring: got %v, want EAGAIN", err)
	}
	must(syscall.Close(fd))
	if _, err := in.OpenRaw(8000); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ring of no processor: got %v", err)
	}
}
