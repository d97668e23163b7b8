package pages_test

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/internal/pages"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

var update = flag.Bool("update", false, "write pages of this kernel to testdata, with what its own text says of them")

// line is a record in the text of a trace file:
//
//	bash-1234    [001] d..2.   123.456789: sched_switch: prev_comm=bash ...
var line = regexp.MustCompile(`(?m)^ *(.{16}|<\.\.\.>)-(\d+) +\[(\d+)\] +\S+ +(\d+)\.(\d{6}): (\w+)[:(]`)

// text is what the kernel says of a record: "123456789 1234 sched_switch", time in
// microseconds, thread and event.
func textOf(trace []byte) []string {
	var list []string
	for _, m := range line.FindAllSubmatch(trace, -1) {
		list = append(list, strings.TrimLeft(string(m[4])+string(m[5]), "0")+" "+string(m[2])+" "+string(m[6]))
	}
	return list
}

// recorded are the pages of one processor and the kernel's text of them.
type recorded struct {
	pages [][]byte
	text  []string
}

// record has an instance with small sub-buffers record all sorts of events, many of
// them filtered away, and reads it twice: as text, and page by page.
func record(t *testing.T, cpu int, filters map[string]string) (recorded, map[int]string) {
	t.Helper()
	testpriv.Need(t)
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := fs.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	defer func() {
		if fd >= 0 {
			_ = syscall.Close(fd)
		}
		if err := errors.Join(in.Close(), fs.Close()); err != nil {
			t.Error(err)
		}
	}()
	names := make(map[int]string)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(in.Off())
	must(in.Clock("mono"))
	if err := in.SetSubbuf(4096); err != nil {
		t.Logf("the kernel has one size of sub-buffers: %v", err)
	}
	must(in.SetBuffer(4 << 20))
	must(in.SetCPUs([]int{cpu}))
	must(in.Option("nooverwrite"))
	must(in.Option("nostacktrace"))
	var events []string
	for event, filter := range filters {
		sc, err := fs.SchemaOf(event)
		must(err)
		names[sc.ID] = sc.Name
		events = append(events, event)
		if filter != "" {
			must(in.SetFilter(event, filter))
		}
	}
	must(in.Enable(events))
	must(in.On())
	long := filepath.Join(t.TempDir(), strings.Repeat("a", 200))
	must(os.Symlink("/bin/true", long))
	for i := range 40 {
		for range 20 {
			syscall.Getppid()
		}
		must(exec.Command("taskset", "-c", fmt.Sprint(cpu), long).Run())
		if i == 20 {
			time.Sleep(300 * time.Millisecond)
		}
	}
	must(in.Off())
	time.Sleep(10 * time.Millisecond)
	text, err := in.ReadFile(fmt.Sprintf("per_cpu/cpu%d/trace", cpu))
	must(err)
	if fd, err = in.OpenRaw(cpu); err != nil {
		t.Fatal(err)
	}
	r := recorded{text: textOf(text)}
	for {
		p := make([]byte, 4096)
		n, err := syscall.Read(fd, p)
		if errors.Is(err, syscall.EAGAIN) || n == 0 {
			break
		}
		must(err)
		r.pages = append(r.pages, p[:n])
	}
	return r, names
}

// decoded is what [pages] makes of pages, as textOf has it.
func decoded(t *testing.T, list [][]byte, name func(id int) string) []string {
	t.Helper()
	var c pages.Cursor
	var out []string
	for _, p := range list {
		if err := c.Begin(p); err != nil {
			t.Fatal(err)
		}
		for {
			tm, at, ok := c.Next()
			if !ok {
				break
			}
			raw := pages.Data(p, at)
			id, pid := int(binary.LittleEndian.Uint16(raw)), binary.LittleEndian.Uint32(raw[4:])
			out = append(out, fmt.Sprintf("%d %d %s", (tm+500)/1000, pid, name(id)))
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	}
	return out
}

// rich are events that come in interrupts and in tasks, half of them filtered away;
// sparse ones have times far between.
var (
	rich = map[string]string{
		"raw_syscalls:sys_enter": "id == 110", "kmem:kmalloc": "bytes_req > 2000", "irq:softirq_entry": "", "irq:softirq_exit": "vec == 1",
		"timer:hrtimer_start": "", "timer:hrtimer_cancel": "common_pid == 1", "sched:sched_switch": "", "sched:sched_waking": "prio > 200",
		"sched:sched_process_exec": "",
	}
	sparse = map[string]string{"sched:sched_process_exec": "filename ~ \"*aaaa*\""}
)

// What the pages hold is what the kernel's own text says of them.
func TestLivePagesAreTheText(t *testing.T) {
	seen := make(map[string]int)
	for _, tt := range []struct {
		name    string
		cpu     int
		filters map[string]string
	}{{"rich", 0, rich}, {"rich", 1, rich}, {"sparse", 0, sparse}} {
		t.Run(fmt.Sprintf("%s on cpu %d", tt.name, tt.cpu), func(t *testing.T) {
			r, names := record(t, tt.cpu, tt.filters)
			name := func(id int) string { return names[id] }
			got := decoded(t, r.pages, name)
			if len(got) != len(r.text) || len(got) == 0 {
				t.Fatalf("got %d records of %d pages, the text has %d", len(got), len(r.pages), len(r.text))
			}
			for i := range got {
				if got[i] != r.text[i] {
					t.Fatalf("record %d of %d: got %s, the text has %s", i, len(got), got[i], r.text[i])
				}
			}
			if *update {
				keep(t, tt.name, r, name)
			}
			for _, p := range r.pages {
				for k, n := range kindsOf(p) {
					seen[k] += n
				}
			}
		})
	}
	t.Log(seen)
	for _, k := range []string{"short", "long", "extend"} {
		if seen[k] == 0 {
			t.Errorf("nothing of kind %s was compared", k)
		}
	}
}

// keep writes the pages with the most kinds of things in them, and the kernel's text.
func keep(t *testing.T, set string, r recorded, name func(int) string) {
	t.Helper()
	best, from, at := 0, 0, 0
	for i, p := range r.pages {
		if n := len(kindsOf(p)); n > len(kindsOf(r.pages[best])) {
			best, from = i, at
		}
		at += len(decoded(t, r.pages[i:i+1], name))
	}
	n := len(decoded(t, r.pages[best:best+1], name))
	file := filepath.Join("testdata", set)
	if err := errors.Join(os.WriteFile(file+".page", r.pages[best], 0o644), os.WriteFile(file+".txt", []byte(strings.Join(r.text[from:from+n], "\n")+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
}
