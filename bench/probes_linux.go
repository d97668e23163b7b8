//go:build linux

package main

import (
	"context"
	"debug/elf"
	_ "embed" // hit/hit.c
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// hitSource is the loop whose function is probed.
//
//go:embed hit/hit.c
var hitSource []byte

// armGlob is of somewhat more than 400 functions in every glibc of these years.
const armGlob = "uprobe:libc.so.6:[sw]*"

// nodeProbe and debugProbe are functions that are looked up.
const (
	nodeProbe  = "uprobe:node:uv_fs_read"
	debugProbe = "uprobe:libc.so.6:fopencookie(cookie, mode)"
)

// places is the line of --dry-run that counts them.
var places = regexp.MustCompile(`(?m)^\s*places: ([0-9,]+)$`)

// probes measures everything of probes.
func (b *bench) probes(ctx context.Context) (*Probes, error) {
	p := &Probes{Calls: b.o.hits}
	hit, err := b.buildHit(ctx)
	if err != nil {
		return nil, err
	}
	event, remove, err := b.perfProbe(ctx, hit)
	if err != nil {
		return nil, err
	}
	bpftrace, err := exec.LookPath("bpftrace")
	if err == nil {
		p.Bpftrace = firstLine(ctx, bpftrace, "--version")
	}
	for i := range b.o.rounds {
		round, e := b.probeRound(ctx, hit, event, bpftrace)
		if err = e; err != nil {
			err = fmt.Errorf("probe round %d: %w", i+1, err)
			break
		}
		fmt.Fprintf(b.log, "probe round %d of %d: untraced %.0f ns, perf %.0f ns, perfpipe %.0f ns", i+1, b.o.rounds, round.Untraced.NS, round.Perf.Load.NS, round.Perfpipe.Load.NS)
		if round.Bpftrace != nil {
			fmt.Fprintf(b.log, ", bpftrace %.0f ns", round.Bpftrace.NS)
		}
		fmt.Fprintln(b.log, " a hit")
		p.Rounds = append(p.Rounds, round)
	}
	if err = errors.Join(err, remove()); err != nil {
		return nil, err
	}
	if p.Arm, err = b.arm(ctx); err != nil {
		return nil, fmt.Errorf("arm %s: %w", armGlob, err)
	}
	p.Node, p.Debug = b.lookup(ctx, nodeProbe), b.lookup(ctx, debugProbe)
	p.Node.Symbols = symbolCount("node")
	p.Symbolize, err = b.symbolize(ctx)
	fmt.Fprintf(b.log, "armed %d places; looked up in node and libc's debug file; %.2f s for 1 million stacks\n", p.Arm.Places, p.Symbolize.Seconds)
	return p, err
}

// buildHit compiles the loop.
func (b *bench) buildHit(ctx context.Context) (string, error) {
	src, out := filepath.Join(b.dir, "hit.c"), filepath.Join(b.dir, "hit")
	if err := os.WriteFile(src, hitSource, 0o600); err != nil {
		return "", err
	}
	// endbr64, which some compilers put first, is run in a single step.
	if msg, err := exec.CommandContext(ctx, "gcc", "-O2", "-g", "-fcf-protection=none", "-o", out, src).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the loop that is probed: %w; it takes gcc\n%s", err, msg)
	}
	return out, nil
}

// perfProbe has perf define the event, by the names of the arguments where this
// perf reads DWARF and by their registers where it does not.
func (b *bench) perfProbe(ctx context.Context, hit string) (event string, remove func() error, err error) {
	group := fmt.Sprintf("ppbench_%d", os.Getpid())
	event = group + ":hit"
	var out []byte
	for _, args := range []string{"id n path:string", "id=%di:s32 n=%si:s32 path=+0(%dx):string"} {
		out, err = exec.CommandContext(ctx, b.perf, "probe", "-q", "-x", hit, "--add", event+"=hit "+args).CombinedOutput()
		if err == nil {
			return event, func() error {
				// Not under ctx: it goes away even where the run is broken off.
				if out, err := exec.Command(b.perf, "probe", "-q", "-d", event).CombinedOutput(); err != nil {
					return fmt.Errorf("remove perf's probe %s: %w\n%s", event, err, out)
				}
				return nil
			}, nil
		}
	}
	return "", nil, fmt.Errorf("have perf define a probe: %w\n%s", err, out)
}

// probeRound measures the loop untraced and under each recorder.
func (b *bench) probeRound(ctx context.Context, hit, event, bpftrace string) (ProbeRound, error) {
	var r ProbeRound
	var err error
	if r.Untraced, err = b.hits(ctx, hit, b.o.hits); err != nil {
		return r, err
	}
	recorded := func(rec *Recording, recorder string, event, out string) (string, error) {
		args := []string{recorder, "record", "-e", event, "-a", "-C", strconv.Itoa(b.o.loadCPU), "-m", b.o.ring, "-o", out}
		u, stderr, err := b.recording(ctx, args, func(int) (err error) {
			rec.Load, err = b.hits(ctx, hit, b.o.hits)
			return err
		})
		rec.usage = u
		if err == nil {
			rec.Bytes, err = size(out)
		}
		return stderr, errors.Join(err, os.RemoveAll(out))
	}
	stderr, err := recorded(&r.Perf, b.perf, event, filepath.Join(b.dir, "probe.data"))
	if err != nil {
		return r, err
	}
	if r.Perf.Events, err = parsePerf(stderr); err != nil {
		return r, err
	}
	stderr, err = recorded(&r.Perfpipe, b.perfpipe, "uprobe:"+hit+":hit(id, n, path)", filepath.Join(b.dir, "probe"))
	if err != nil {
		return r, err
	}
	if r.Perfpipe.Events, r.Perfpipe.Lost, err = parsePerfpipe(stderr); err != nil {
		return r, err
	}
	if bpftrace != "" {
		l, err := b.underBpftrace(ctx, bpftrace, hit, r.Untraced.NS)
		if err != nil {
			return r, err
		}
		r.Bpftrace = &l
	}
	return r, nil
}

// hits runs the loop.
func (b *bench) hits(ctx context.Context, hit string, calls int) (Load, error) {
	out, err := exec.CommandContext(ctx, hit, strconv.Itoa(b.o.loadCPU), strconv.Itoa(calls)).Output()
	if err != nil {
		return Load{}, fmt.Errorf("run %s: %w", hit, err)
	}
	return decodeLoad(out)
}

// underBpftrace runs the loop while bpftrace prints every hit. bpftrace does not say
// when it has begun where its output goes to /dev/null: the loop tells, which takes
// much longer from then on.
func (b *bench) underBpftrace(ctx context.Context, bpftrace, hit string, untraced float64) (l Load, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	program := fmt.Sprintf(`uprobe:%s:hit { printf("%%d %%d %%s\n", arg0, arg1, str(arg2)); }`, hit)
	cmd := exec.CommandContext(ctx, bpftrace, "-e", program)
	cmd.Env = append(os.Environ(), "BPFTRACE_PERF_RB_PAGES=4096")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := startOn(b.o.recordCPU, cmd); err != nil {
		return l, fmt.Errorf("start bpftrace: %w", err)
	}
	defer func() {
		if e := cmd.Process.Signal(os.Interrupt); e != nil && err == nil {
			err = e
		}
		if e := cmd.Wait(); e != nil && err == nil {
			err = fmt.Errorf("run bpftrace: %w\n%s", e, stderr.String())
		}
	}()
	for {
		if l, err = b.hits(ctx, hit, 1000); err != nil {
			return l, fmt.Errorf("wait for bpftrace: %w\n%s", err, stderr.String())
		}
		if l.NS > 100+10*untraced {
			return b.hits(ctx, hit, b.o.hits)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// arm measures how long a recording of many functions takes to begin, beside one of
// a tracepoint.
func (b *bench) arm(ctx context.Context) (Arm, error) {
	a := Arm{Probe: armGlob}
	_, stderr, err := b.command(ctx, io.Discard, b.perfpipe, "record", "--dry-run", "-e", armGlob)
	if err != nil {
		return a, err
	}
	m := places.FindStringSubmatch(stderr)
	if m == nil {
		return a, fmt.Errorf("find the number of places in %q", stderr)
	}
	if a.Places, err = number(m[1]); err != nil {
		return a, err
	}
	for range b.o.rounds {
		s, err := b.armed(ctx, "-e", "sched:sched_process_hang")
		if err != nil {
			return a, err
		}
		a.Tracepoint, a.TracepointEvents = append(a.Tracepoint, s.seconds), s.perfEvents
		if s, err = b.armed(ctx, "-e", armGlob); err != nil {
			return a, err
		}
		a.Seconds, a.Events = append(a.Seconds, s.seconds), s.perfEvents
	}
	return a, nil
}

// lookup measures how long a function takes to be found.
func (b *bench) lookup(ctx context.Context, probe string) Lookup {
	l := Lookup{Probe: probe}
	for range b.o.rounds {
		begin := time.Now()
		if _, _, err := b.command(ctx, io.Discard, b.perfpipe, "record", "--dry-run", "-e", probe); err != nil {
			return Lookup{Probe: probe, Missing: "not found on this machine"}
		}
		l.Seconds = append(l.Seconds, time.Since(begin).Seconds())
	}
	return l
}

// symbolCount counts the symbols of a command's binary, 0 where there is none.
func symbolCount(command string) int {
	path, err := exec.LookPath(command)
	if err != nil {
		return 0
	}
	f, err := elf.Open(path)
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	table, _ := f.Symbols()
	dynamic, _ := f.DynamicSymbols()
	return len(table) + len(dynamic)
}

// symbolize runs the benchmark of stacks.
func (b *bench) symbolize(ctx context.Context) (Symbolize, error) {
	times := "5x"
	if b.o.smoke {
		times = "1x"
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkStacks$/^names$", "-benchtime", times, "./uprobe/symbolize").CombinedOutput()
	if err != nil {
		return Symbolize{}, fmt.Errorf("run the benchmark of stacks: %w\n%s", err, out)
	}
	return parseStacks(string(out)), nil
}
