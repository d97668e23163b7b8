//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// event is what both recorders record: the loop makes one a call.
const event = "raw_syscalls:sys_enter"

// hot are the benchmarks that must not allocate: those of the path of every record.
var hot = regexp.MustCompile(`^Benchmark.*(Match|Append|Encode|Compact)`)

// bench is one run of all measurements.
type bench struct {
	o                    options
	dir                  string
	log                  io.Writer
	self, perf, perfpipe string
}

// prepare finds or builds the programs.
func (b *bench) prepare(ctx context.Context) error {
	var err error
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.perf, err = exec.LookPath("perf"); err != nil {
		return fmt.Errorf("find perf: %w; install it (Debian: apt-get install linux-perf)", err)
	}
	if b.perfpipe = b.o.perfpipe; b.perfpipe != "" {
		return nil
	}
	b.perfpipe = filepath.Join(b.dir, "perfpipe")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.perfpipe, "./cmd/perfpipe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build perfpipe: %w\n%s", err, out)
	}
	return nil
}

func (b *bench) measure(ctx context.Context) (*Results, error) {
	r := &Results{Machine: b.machine(ctx), Calls: b.o.calls, Ring: b.o.ring}
	for i := range b.o.rounds {
		round, err := b.round(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", i+1, err)
		}
		fmt.Fprintf(b.log, "round %d of %d: untraced %.0f ns, perf %.0f ns, perfpipe %.0f ns a call; CPU s per million events: perf %.2f, with script %.2f, perfpipe %.2f\n",
			i+1, b.o.rounds, round.Untraced.NS, round.Perf.Load.NS, round.Perfpipe.Load.NS,
			round.Perf.seconds(), round.Perf.seconds()+round.scriptSeconds(), round.Perfpipe.seconds())
		r.Rounds = append(r.Rounds, round)
	}
	for _, ring := range []string{"", "64M"} {
		a, err := b.account(ctx, ring)
		if err != nil {
			return nil, fmt.Errorf("account for events with ring %q: %w", ring, err)
		}
		fmt.Fprintf(b.log, "accounting with ring %q: generated %d, rows %d, lost %d\n", ring, a.Generated, a.Rows, a.Lost)
		r.Accounts = append(r.Accounts, a)
	}
	for _, d := range b.o.lengths {
		m, err := b.memory(ctx, d)
		if err != nil {
			return nil, fmt.Errorf("watch memory for %s: %w", d, err)
		}
		fmt.Fprintf(b.log, "memory: %.0f s, %d rows, %d lost, peak %.0f MB\n", m.Seconds, m.Rows, m.Lost, float64(m.Peak)/1e6)
		r.Memory = append(r.Memory, m)
	}
	var err error
	if r.Benches, err = b.benches(ctx); err != nil {
		return nil, err
	}
	r.Probes, err = b.probes(ctx)
	return r, err
}

// round measures the loop untraced, under perf record, and under perfpipe record.
func (b *bench) round(ctx context.Context) (Round, error) {
	var r Round
	var err error
	calls := []string{"-calls", strconv.Itoa(b.o.calls)}
	if r.Untraced, err = b.load(ctx, calls...); err != nil {
		return r, err
	}
	args := []string{"record", "-e", event, "-a", "-C", strconv.Itoa(b.o.loadCPU), "-m", b.o.ring, "-o"}

	data := filepath.Join(b.dir, "perf.data")
	u, stderr, err := b.recording(ctx, append(append([]string{b.perf}, args...), data), func(int) (err error) {
		r.Perf.Load, err = b.load(ctx, calls...)
		return err
	})
	if err != nil {
		return r, err
	}
	r.Perf.usage = u
	if r.Perf.Events, err = parsePerf(stderr); err != nil {
		return r, err
	}
	if r.Perf.Bytes, err = size(data); err != nil {
		return r, err
	}
	if r.Script, err = b.script(ctx, data); err != nil {
		return r, err
	}

	out := filepath.Join(b.dir, "dataset")
	u, stderr, err = b.recording(ctx, append(append([]string{b.perfpipe}, args...), out), func(int) (err error) {
		r.Perfpipe.Load, err = b.load(ctx, calls...)
		return err
	})
	if err != nil {
		return r, err
	}
	r.Perfpipe.usage = u
	if r.Perfpipe.Events, r.Perfpipe.Lost, err = parsePerfpipe(stderr); err != nil {
		return r, err
	}
	if r.Perfpipe.Bytes, err = size(out); err != nil {
		return r, err
	}
	return r, os.RemoveAll(out)
}

// script turns perf.data into text, and removes both.
func (b *bench) script(ctx context.Context, data string) (usage, error) {
	text := data + ".txt"
	f, err := os.Create(text)
	if err != nil {
		return usage{}, err
	}
	u, _, err := b.command(ctx, f, b.perf, "script", "-i", data)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return u, err
	}
	if err := os.Remove(text); err != nil {
		return u, err
	}
	return u, os.Remove(data)
}

// account records exactly the loop's own calls: the loop is the recorded command,
// and no other call passes the filter.
func (b *bench) account(ctx context.Context, ring string) (Account, error) {
	out := filepath.Join(b.dir, "account")
	args := []string{"record", "-e", event, "--filter", fmt.Sprintf("id == %d", unix.SYS_GETPPID), "-o", out}
	if ring != "" {
		args = append(args, "-m", ring)
	}
	var stdout strings.Builder
	args = append(append(args, "--"), b.loadArgs("-calls", strconv.Itoa(b.o.count))...)
	_, stderr, err := b.command(ctx, &stdout, b.perfpipe, args...)
	if err != nil {
		return Account{}, err
	}
	l, err := decodeLoad([]byte(stdout.String()))
	if err != nil {
		return Account{}, err
	}
	a := Account{Ring: ring, Generated: l.Calls}
	if a.Rows, a.Lost, err = parsePerfpipe(stderr); err != nil {
		return a, err
	}
	return a, os.RemoveAll(out)
}

// memory records the busy processor for a while and returns the recorder's peak.
func (b *bench) memory(ctx context.Context, d time.Duration) (Memory, error) {
	out := filepath.Join(b.dir, "memory")
	args := []string{b.perfpipe, "record", "-e", event, "-a", "-C", strconv.Itoa(b.o.loadCPU), "-o", out}
	u, stderr, err := b.recording(ctx, args, func(int) error {
		_, err := b.load(ctx, "-duration", d.String())
		return err
	})
	if err != nil {
		return Memory{}, err
	}
	m := Memory{Seconds: d.Seconds(), Peak: u.Peak}
	if m.Rows, m.Lost, err = parsePerfpipe(stderr); err != nil {
		return m, err
	}
	return m, os.RemoveAll(out)
}

// benches runs the benchmarks of the path of every record and counts allocations.
func (b *bench) benches(ctx context.Context) ([]Bench, error) {
	length := "200ms"
	if b.o.smoke {
		length = "100x"
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", ".", "-benchtime", length, "-benchmem", "./filters/...", "./collector/...").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("run benchmarks: %w\n%s", err, out)
	}
	var all []Bench
	for _, l := range parseBenches(string(out)) {
		if hot.MatchString(l.Name) {
			all = append(all, l)
		}
	}
	return all, nil
}

// machine says what was measured and on what.
func (b *bench) machine(ctx context.Context) Machine {
	m := Machine{Date: time.Now().UTC().Format(time.DateOnly), CPU: cpuModel()}
	var un unix.Utsname
	if unix.Uname(&un) == nil {
		m.Kernel = unix.ByteSliceToString(un.Release[:])
	}
	m.CPUs = onlineCPUs()
	m.MemoryMB = memoryMB()
	m.Perf = firstLine(ctx, b.perf, "--version")
	m.Perfpipe = firstLine(ctx, b.perfpipe, "version")
	m.Go = firstLine(ctx, "go", "version")
	m.Commit = firstLine(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12")
	load, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		m.Load = strings.Join(strings.Fields(string(load))[:3], " ")
	}
	return m
}

func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func onlineCPUs() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return 0
	}
	return set.Count()
}

func memoryMB() int {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) != nil {
		return 0
	}
	return int(si.Totalram * uint64(si.Unit) >> 20)
}

// size returns the bytes of a file, or of all files below a folder.
func size(path string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
