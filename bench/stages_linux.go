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
	"time"
)

// stages runs the benchmarks of the path of every record, and the conversion of a file
// by one thread and two.
func (b *bench) stages(ctx context.Context, r *Results) error {
	args := []string{"test", "-run", "^$", "-bench", "Match|Program|Append|Encode|Compact|Ring|Decode|Page|ReadRecord", "-benchmem", "-benchtime", "200ms", "-count", "5"}
	if b.o.smoke {
		args = append(args, "-benchtime", "100x", "-count", "1")
	}
	args = append(args, "./filters/...", "./collector/...", "./perfev/...")
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run benchmarks: %w\n%s", err, out)
	}
	r.Stages = parseBenches(string(out))
	if r.Scaling, err = b.scaling(ctx); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "stages: %d benchmarks; scaling: %s%v s by one thread, %v by two\n", len(r.Stages), r.Scaling.Refused, r.Scaling.One, r.Scaling.Two)
	return nil
}

// scaling converts a file of perf record with one thread on one processor and with two on
// two, in turns.
func (b *bench) scaling(ctx context.Context) (s *Scaling, err error) {
	s = &Scaling{}
	help, err := exec.CommandContext(ctx, b.perfpipe, "convert", "--help").Output()
	if err != nil {
		return s, fmt.Errorf("ask perfpipe convert for its flags: %w", err)
	}
	if !strings.Contains(string(help), "--threads") {
		s.Refused = "perfpipe convert has no --threads"
		return s, nil
	}
	data := filepath.Join(b.dir, "scaling.data")
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	_, stderr, err := b.recording(ctx, append(append([]string{b.perf}, b.recordArgs()...), "-o", data), func(int) error {
		_, err := b.load(ctx, "-calls", strconv.Itoa(b.o.calls))
		return err
	})
	if err != nil {
		return s, err
	}
	if s.Events, err = parsePerf(stderr); err != nil {
		return s, err
	}
	for range b.o.repeats {
		for threads := 1; threads <= 2; threads++ {
			took, err := b.converted(ctx, data, threads)
			switch {
			case ctx.Err() != nil:
				return s, ctx.Err()
			case err != nil:
				s.Refused = failed + refusal(err)
				return s, nil
			case threads == 1:
				s.One = append(s.One, took)
			default:
				s.Two = append(s.Two, took)
			}
		}
	}
	return s, nil
}

// converted returns the seconds of one conversion, by one thread on one processor or by
// more on all.
func (b *bench) converted(ctx context.Context, data string, threads int) (seconds float64, err error) {
	out := filepath.Join(b.dir, "scaled")
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	cmd := b.process(ctx, b.perfpipe, "convert", data, "-o", out, "--threads", strconv.Itoa(threads))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	begin := time.Now()
	if threads == 1 {
		err = startOn(b.o.recordCPU, cmd)
	} else {
		err = cmd.Start()
	}
	if err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("run %s: %w\n%s", cmd, err, stderr.String())
	}
	return time.Since(begin).Seconds(), nil
}
