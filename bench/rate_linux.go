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

	"golang.org/x/sys/unix"
)

// rates measures what each engine keeps up with, between two runs of its bare ring, and
// then the accounts of what is lost where nothing could keep up.
func (b *bench) rates(ctx context.Context, r *Results) error {
	bare := map[string]func(context.Context, ...string) (Recording, error){"perf": b.barePerf, "ftrace": b.bareFtrace, "bpf": b.bareBPF}
	length := []string{"-duration", b.o.sustained.String()}
	half := []string{"-duration", (b.o.sustained / 2).String()}
	for _, e := range engines {
		eng := b.engine(ctx, e)
		rate := Rate{Engine: e, Chosen: eng.chosen, Refused: eng.refused, Ring: b.o.ring}
		ring := bare[eng.chosen]
		for i := range 3 {
			if rate.Refused != "" {
				break
			}
			var err error
			if i == 1 {
				rate.Run, err = b.perfpipeRecord(ctx, e, length...)
			} else if ring != nil {
				var rec Recording
				if rec, err = ring(ctx, half...); err == nil {
					rate.Bare = append(rate.Bare, rec.Load)
				}
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil && i == 1 {
				rate.Refused = failed + refusal(err)
			} else if err != nil {
				rate.Missing, ring = refusal(err), nil
			}
		}
		if len(rate.Bare) == 0 && rate.Missing == "" {
			rate.Missing = "the engine is not known"
		}
		b.say(rate.Refused, "rate by %s: %.2f M/s, bare ring %.2f M/s, %d rows, %d lost", e, rate.Run.Load.rate()/1e6, rate.bare()/1e6, rate.Run.Events, rate.Run.Lost)
		r.Rates = append(r.Rates, rate)
	}
	accounts := []Account{{Engine: "auto", Loops: 1}, {Engine: "auto", Ring: largeRing, Loops: 1}}
	for _, e := range engines {
		accounts = append(accounts, Account{Engine: e, Ring: smallRing, Loops: 2})
	}
	for _, a := range accounts {
		if a.Refused = b.engine(ctx, a.Engine).refused; a.Refused == "" {
			if err := b.account(ctx, &a); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				a.Refused = failed + refusal(err)
			}
		}
		b.say(a.Refused, "%s: generated %d, rows %d, lost %d", a.name(), a.Generated, a.Rows, a.Lost)
		r.Accounts = append(r.Accounts, a)
	}
	return nil
}

// account records exactly the loop's own calls. One loop is the recorded command, and no
// other call passes the filter. Two are recorded on the whole machine without any filter,
// which some engines ask behind the ring: their call is one that nobody else makes.
func (b *bench) account(ctx context.Context, a *Account) (err error) {
	out := filepath.Join(b.dir, "account")
	defer func() { err = errors.Join(err, os.RemoveAll(out)) }()
	args := []string{"record", "--engine", a.Engine, "-o", out}
	if a.Ring != "" {
		args = append(args, "-m", a.Ring)
	}
	load := []string{"-calls", strconv.Itoa(b.o.count)}
	if a.Loops > 1 {
		args = append(args, "-e", "syscalls:sys_enter_timer_getoverrun", "-a")
		load = append(load, "-also", strconv.Itoa(b.o.recordCPU), "-call", strconv.Itoa(unix.SYS_TIMER_GETOVERRUN))
	} else {
		args = append(args, "-e", event, "--filter", fmt.Sprintf("id == %d", unix.SYS_GETPPID))
	}
	var stdout strings.Builder
	args = append(append(args, "--"), b.loadArgs(load...)...)
	_, stderr, err := b.command(ctx, &stdout, b.perfpipe, args...)
	if err != nil {
		return err
	}
	l, err := decodeLoad([]byte(stdout.String()))
	if err != nil {
		return err
	}
	a.Generated = l.Calls
	a.Rows, a.Lost, err = parsePerfpipe(stderr)
	return err
}
