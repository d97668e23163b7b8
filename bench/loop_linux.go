//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tracer measures the loop in one way.
type tracer struct {
	tool *Tool
	run  func(ctx context.Context, load ...string) (Run, error)
}

// plain makes a tracer's run of one that has no text.
func plain(f func(context.Context, ...string) (Recording, error)) func(context.Context, ...string) (Run, error) {
	return func(ctx context.Context, load ...string) (Run, error) {
		r, err := f(ctx, load...)
		return Run{Recording: r}, err
	}
}

// recordArgs are those that perf record and perfpipe record share.
func (b *bench) recordArgs() []string {
	return []string{"record", "-e", event, "-a", "-C", strconv.Itoa(b.o.loadCPU), "-m", b.o.ring}
}

// tracers are all ways, in the order of a round and of the tables.
func (b *bench) tracers(ctx context.Context) []tracer {
	args := strings.Join(b.recordArgs(), " ")
	all := []tracer{
		{&Tool{ID: untraced, Name: "nothing (the loop alone)"}, plain(func(ctx context.Context, load ...string) (r Recording, err error) {
			r.Load, err = b.load(ctx, load...)
			return r, err
		})},
		{&Tool{ID: perfRecord, Name: "perf record", How: "`perf " + args + " -o perf.data`, then `perf script -i perf.data > text`."}, b.perfRecord},
		{&Tool{ID: traceCmd, Name: "trace-cmd record", How: "`" + strings.Join(b.traceCmdArgs(&instance{dir: "INSTANCE"}, "trace.dat"), " ") +
			"`, then `trace-cmd report -i trace.dat > text`."}, b.traceCmd},
		{&Tool{ID: bpftracePrint, Name: "bpftrace, printf", How: "`bpftrace -e '" + escapeCode(printProgram) + "' > /dev/null` with buffers of 16 MB."}, b.printed},
		{&Tool{ID: bpftraceCount, Name: "bpftrace, count()", How: "`bpftrace -e '" + countProgram + "'`."}, b.counted},
		{&Tool{ID: perfRing, Name: "bare perf ring", How: "the event opened with time and data alone, in a ring of 16 MB that is written over and that nobody reads."}, plain(b.barePerf)},
		{&Tool{ID: ftraceRing, Name: "bare ftrace ring", How: "a tracefs instance, clock mono, sub-buffers of 64 KB, 16 MB that are written over and that nobody reads."}, plain(b.bareFtrace)},
		{&Tool{ID: bpfRing, Name: "bare eBPF ring", How: "a program on the tracepoint (tp_btf) that puts time, thread, number and registers into a BPF ring of 16 MB, wakes nobody, and whose reader throws all away."}, plain(b.bareBPF)},
	}
	for _, t := range all {
		switch t.tool.ID {
		case traceCmd:
			b.tryTraceCmd(ctx, t.tool)
		case bpftracePrint, bpftraceCount:
			tryBpftrace(t.tool)
		}
	}
	for _, e := range engines {
		t := &Tool{ID: engineTool(e), Name: "perfpipe, " + e, How: "`perfpipe " + args + " --engine " + e + " -o dataset`."}
		eng := b.engine(ctx, e)
		t.Refused = eng.refused
		if e == "auto" && eng.chosen != "" {
			t.Name += " (" + eng.chosen + ")"
		}
		all = append(all, tracer{t, func(ctx context.Context, load ...string) (Run, error) {
			r, err := b.perfpipeRecord(ctx, e, load...)
			return Run{Recording: r}, err
		}})
	}
	return all
}

// escapeCode keeps the newline of a program apart from the table's.
func escapeCode(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }

// loop measures every tool in every round.
func (b *bench) loop(ctx context.Context, r *Results) error {
	all := b.tracers(ctx)
	for _, t := range all {
		r.Tools = append(r.Tools, t.tool)
		if t.tool.Refused != "" {
			fmt.Fprintf(b.log, "%s: %s\n", t.tool.Name, t.tool.Refused)
		}
		if t.tool.ID == bpftracePrint && t.tool.Refused == "" && !b.o.smoke {
			note, err := b.printedLines(ctx)
			if err != nil {
				note = "How many it loses was not found out: " + refusal(err)
			}
			t.tool.Note = note
		}
	}
	for i := range b.o.rounds {
		fmt.Fprintf(b.log, "round %d of %d:", i+1, b.o.rounds)
		for _, t := range all {
			if t.tool.Refused != "" {
				continue
			}
			run, err := t.run(ctx, "-calls", strconv.Itoa(b.o.calls))
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), err)
			}
			if err != nil && (t.tool.ID == untraced || t.tool.ID == perfRecord) {
				return fmt.Errorf("%s: %w", t.tool.Name, err)
			}
			if err != nil {
				// A tool that fails must not take the others' figures with it.
				t.tool.Refused, t.tool.Runs = fmt.Sprintf("failed in round %d: %s", i+1, refusal(err)), nil
				fmt.Fprintf(b.log, " %s: %v;", t.tool.Name, err)
				continue
			}
			t.tool.Runs = append(t.tool.Runs, run)
			fmt.Fprintf(b.log, " %s %.0f", t.tool.ID, run.Load.NS)
			if t.tool.ID == perfRecord {
				if i == 0 {
					r.Converts = b.convert(ctx, run.Events)
				}
				if err := os.Remove(b.perfData()); err != nil {
					return err
				}
			}
		}
		fmt.Fprintln(b.log, " ns a call")
	}
	return nil
}

// perfData is where perf record's file lies until the next.
func (b *bench) perfData() string { return filepath.Join(b.dir, "perf.data") }

// perfRecord has perf record the loop and make text of it. The file stays.
func (b *bench) perfRecord(ctx context.Context, load ...string) (Run, error) {
	var r Run
	u, stderr, err := b.recording(ctx, append(append([]string{b.perf}, b.recordArgs()...), "-o", b.perfData()), func(int) (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	if err != nil {
		return r, err
	}
	r.usage = u
	if r.Events, err = parsePerf(stderr); err != nil {
		return r, err
	}
	if r.Bytes, err = size(b.perfData()); err != nil {
		return r, err
	}
	text := b.perfData() + ".txt"
	if r.After, err = b.textOf(ctx, text, b.perf, "script", "-i", b.perfData()); err != nil {
		return r, err
	}
	if r.TextBytes, err = size(text); err != nil {
		return r, err
	}
	return r, os.Remove(text)
}

// convert has perf make other formats of perf.data, where this perf can.
func (b *bench) convert(ctx context.Context, events int) []Convert {
	var out []Convert
	for _, to := range [...]string{"json", "ctf"} {
		path := filepath.Join(b.dir, "converted")
		c := Convert{To: to, Events: events}
		u, _, err := b.command(ctx, nil, b.perf, "data", "convert", "-i", b.perfData(), "--to-"+to, path)
		if err == nil {
			c.usage = u
			c.Bytes, err = size(path)
		}
		if err != nil {
			c.Refused = refusal(err)
		}
		if err := os.RemoveAll(path); err != nil {
			fmt.Fprintf(b.log, "remove what perf data convert wrote: %v\n", err)
		}
		out = append(out, c)
	}
	return out
}

// perfpipeRecord has one engine record the loop.
func (b *bench) perfpipeRecord(ctx context.Context, engine string, load ...string) (Recording, error) {
	var r Recording
	out := filepath.Join(b.dir, "dataset")
	args := append(append([]string{b.perfpipe}, b.recordArgs()...), "--engine", engine, "-o", out)
	u, stderr, err := b.recording(ctx, args, func(int) (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	if err != nil {
		return r, errors.Join(err, os.RemoveAll(out))
	}
	r.usage = u
	if r.Events, r.Lost, err = parsePerfpipe(stderr); err != nil {
		return r, errors.Join(err, os.RemoveAll(out))
	}
	r.Bytes, err = size(out)
	return r, errors.Join(err, os.RemoveAll(out))
}

// engine is what became of asking perfpipe for one.
type engine struct{ chosen, refused string }

// engine has perfpipe record for a moment by an engine; it is asked once.
func (b *bench) engine(ctx context.Context, name string) engine {
	if e, ok := b.engines[name]; ok {
		return e
	}
	out := filepath.Join(b.dir, "engine")
	args := append(b.recordArgs(), "-v", "--engine", name, "-o", out, "--", "true")
	var e engine
	_, stderr, err := b.command(ctx, nil, b.perfpipe, args...)
	if err != nil {
		e.refused = "refused: " + refusal(err)
	} else {
		e.chosen = parseEngine(stderr)
	}
	if err := os.RemoveAll(out); err != nil {
		fmt.Fprintf(b.log, "remove %s: %v\n", out, err)
	}
	b.engines[name] = e
	return e
}

// refusal is the last line of what a program said.
func refusal(err error) string { return lastLine(err.Error()) }
