//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// filters measures filters: on the loop, in process, and how long they take to load.
func (b *bench) filters(ctx context.Context, r *Results) error {
	f := &Filters{Calls: b.o.calls, Every: every, Ring: b.o.ring}
	r.Filters = f
	if err := b.filterRounds(ctx, f); err != nil {
		return err
	}
	args := []string{"test", "-run", "^$", "-bench", "^(BenchmarkMatch|BenchmarkProgram50)$", "-benchmem", "-benchtime", "300ms", "-count", "5"}
	if b.o.smoke {
		args = append(args, "-benchtime", "100x", "-count", "1")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "./filters/")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run benchmarks: %w\n%s", err, out)
	}
	f.Benches = parseBenches(string(out))
	return b.recipes(ctx, f)
}

// filterRounds runs the loop under every tool with every filter, in every round.
func (b *bench) filterRounds(ctx context.Context, f *Filters) error {
	b.filterTools(ctx, f)
	alone := tracer{f.Alone, plain(func(ctx context.Context, load ...string) (r Recording, err error) {
		r.Load, err = b.load(ctx, load...)
		return r, err
	})}
	for i := range b.o.rounds {
		fmt.Fprintf(b.log, "round %d of %d:", i+1, b.o.rounds)
		if err := b.filterRun(ctx, alone, i); err != nil {
			return err
		}
		for _, c := range f.Cases {
			fmt.Fprintf(b.log, " %s", c.ID)
			for _, t := range c.Tools {
				if t.Refused != "" {
					continue
				}
				err := b.filterRun(ctx, tracer{t, func(ctx context.Context, load ...string) (Run, error) { return b.filtered(ctx, c, t, load) }}, i)
				if ctx.Err() != nil {
					return errors.Join(ctx.Err(), err)
				}
				if err != nil {
					// A tool that fails must not take the others' figures with it.
					t.Refused, t.Runs = fmt.Sprintf("%sin round %d: %s", failed, i+1, refusal(err)), nil
					fmt.Fprintf(b.log, " %s: %v;", t.Name, err)
				}
			}
		}
		fmt.Fprintln(b.log, " ns a call")
	}
	return nil
}

// filterRun is one run of a tool on the loop that has calls of two numbers.
func (b *bench) filterRun(ctx context.Context, t tracer, round int) error {
	run := t.run
	t.run = func(ctx context.Context, load ...string) (Run, error) {
		return run(ctx, append(load, "-every", strconv.Itoa(every), "-rare", strconv.Itoa(unusedCall()))...)
	}
	r, err := b.runOf(ctx, t)
	if err != nil {
		if t.tool.ID == untraced {
			return fmt.Errorf("%s, round %d: %w", t.tool.Name, round+1, err)
		}
		return err
	}
	t.tool.Runs = append(t.tool.Runs, r)
	fmt.Fprintf(b.log, " %s %.0f", t.tool.ID, r.Load.NS)
	return nil
}

// filterTools are the filters with their tools.
func (b *bench) filterTools(ctx context.Context, f *Filters) {
	f.Alone = &Tool{ID: untraced, Name: "nothing (the loop alone)"}
	calls := (b.o.calls + chunk - 1) / chunk * chunk
	f.Cases = []*FilterCase{
		{ID: rejectsAll, Filter: fmt.Sprintf("id == %d", noCall)},
		{ID: rejectsMost, Filter: fmt.Sprintf("id == %d", unusedCall()), Kept: calls / every},
		{ID: keepsAll, Filter: "id >= 0", Kept: calls},
	}
	args := strings.Join(b.recordArgs(), " ")
	tier := b.tierRefused(ctx)
	for _, c := range f.Cases {
		perf := &Tool{ID: perfRecord, Name: "perf record --filter", How: "`perf " + args + " --filter F -o perf.data`"}
		if c.ID == keepsAll {
			perf.Name, perf.How = "perf record without a filter", "`perf "+args+" -o perf.data`"
		}
		c.Tools = append(c.Tools, perf)
		if c.ID != keepsAll {
			c.Tools = append(c.Tools, &Tool{ID: bpftraceCount, Name: "bpftrace, count()", How: code(countIf("F"))})
		}
		if c.ID == rejectsMost {
			c.Tools = append(c.Tools, &Tool{ID: bpftracePrint, Name: "bpftrace, printf to /dev/null", How: code(escapeCode(printIf("F")))})
		}
		for _, t := range tiers {
			c.Tools = append(c.Tools, &Tool{ID: engineTool(t), Name: "perfpipe, --tier " + t, How: "`perfpipe " + args + " --filter F --tier " + t + " -o dataset`", Refused: tier})
		}
		if c.ID == keepsAll {
			c.Tools = append(c.Tools, &Tool{ID: engineTool(statefulTool), Name: "perfpipe, the program of 20 lines, --tier bpf", How: "the same with `--filter @program --tier bpf`", Refused: tier})
		}
		for _, t := range c.Tools {
			if t.ID == bpftraceCount || t.ID == bpftracePrint {
				tryBpftrace(t)
			}
		}
	}
}

// tierRefused says why perfpipe cannot be told which tier to take, "" where it can.
func (b *bench) tierRefused(ctx context.Context) string {
	help, err := exec.CommandContext(ctx, b.perfpipe, "record", "--help").Output()
	if err != nil {
		return "ask perfpipe record for its flags: " + refusal(err)
	}
	if !strings.Contains(string(help), "--tier") {
		return "perfpipe record has no --tier"
	}
	return ""
}

// countIf and printIf are programs of bpftrace with a predicate, which is perf's but for
// where the number of the call is.
func countIf(filter string) string { return onlyIf(countProgram, filter) }
func printIf(filter string) string { return onlyIf(printProgram, filter) }

func onlyIf(program, filter string) string {
	return strings.Replace(program, " {", " /"+strings.Replace(filter, "id", "args->id", 1)+"/ {", 1)
}

// filtered is a run of one of the tools.
func (b *bench) filtered(ctx context.Context, c *FilterCase, t *Tool, load []string) (r Run, err error) {
	switch t.ID {
	case perfRecord:
		return b.perfFiltered(ctx, c, load)
	case bpftraceCount, bpftracePrint:
		return b.bpftraceFiltered(ctx, c, t, load)
	case engineTool(statefulTool):
		path := filepath.Join(b.dir, "stateful.pf")
		if err := os.WriteFile(path, []byte(statefulProgram), 0o644); err != nil {
			return r, err
		}
		r.Recording, err = b.perfpipeFiltered(ctx, "@"+path, "bpf", load)
		return r, err
	}
	r.Recording, err = b.perfpipeFiltered(ctx, c.Filter, strings.TrimPrefix(t.ID, engineTool("")), load)
	return r, err
}

func (b *bench) perfFiltered(ctx context.Context, c *FilterCase, load []string) (r Run, err error) {
	args := append([]string{b.perf}, b.recordArgs()...)
	if c.ID != keepsAll {
		args = append(args, "--filter", c.Filter)
	}
	u, stderr, err := b.recording(ctx, append(args, "-o", b.perfData()), func(int) (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	if err = errors.Join(err, os.RemoveAll(b.perfData())); err != nil {
		return r, err
	}
	r.usage = u
	r.Events, err = parsePerf(stderr)
	if errors.Is(err, errNoSamples) {
		err = nil
	}
	return r, err
}

func (b *bench) bpftraceFiltered(ctx context.Context, c *FilterCase, t *Tool, load []string) (r Run, err error) {
	during := func() (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	}
	if t.ID == bpftracePrint {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return r, err
		}
		defer func() { _ = null.Close() }()
		_, err = b.bpftrace(ctx, printIf(c.Filter), null, during)
		return r, err
	}
	var out strings.Builder
	if _, err := b.bpftrace(ctx, countIf(c.Filter), &out, during); err != nil {
		return r, err
	}
	if c.ID == rejectsAll {
		return r, nil
	}
	r.Events, err = parseCount(out.String())
	return r, err
}

func (b *bench) perfpipeFiltered(ctx context.Context, filter, tier string, load []string) (r Recording, err error) {
	out := filepath.Join(b.dir, "dataset")
	args := append(append([]string{b.perfpipe}, b.recordArgs()...), "--filter", filter, "--tier", tier, "-o", out)
	u, stderr, err := b.recording(ctx, args, func(int) (err error) {
		r.Load, err = b.load(ctx, load...)
		return err
	})
	if err = errors.Join(err, os.RemoveAll(out)); err != nil {
		return r, err
	}
	r.usage = u
	r.Events, r.Lost, err = parsePerfpipe(stderr)
	return r, err
}

// recipes compiles the manual's programs, each in a process of its own.
func (b *bench) recipes(ctx context.Context, f *Filters) error {
	manual, err := os.ReadFile(filepath.Join("docs", "filters.md"))
	if err != nil {
		return err
	}
	for _, p := range recipes(string(manual)) {
		path := filepath.Join(b.dir, "recipe.pf")
		if err := os.WriteFile(path, []byte(p.text), 0o644); err != nil {
			return err
		}
		r := Recipe{Title: p.title}
		for range b.o.repeats {
			c, err := b.compiled(ctx, path)
			if err != nil {
				return fmt.Errorf("compile %q of docs/filters.md: %w", p.title, err)
			}
			if c.Refused != "" {
				r.Refused = c.Refused
				break
			}
			r.Programs, r.Instructions = c.Programs, c.Instructions
			r.Code, r.Loaded, r.CPU = append(r.Code, c.Code), append(r.Loaded, c.Loaded), append(r.CPU, c.CPU)
		}
		b.say("", "%s: %s%s ms to loaded", p.title, r.Refused, spreadOf(r.Loaded).milliseconds())
		f.Recipes = append(f.Recipes, r)
	}
	return nil
}
