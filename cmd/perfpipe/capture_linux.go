//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/lifecycle"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// runCapture records what c says and returns what the command's exit status is made of.
func runCapture(ctx context.Context, st streams, c *configs.Capture, o captureOptions) (err error) {
	defer func() {
		if errors.Is(err, fs.ErrPermission) && !hasStatus(err) {
			err = &exitError{err: err, code: exitPermission}
		}
	}()
	engine, err := perfev.ParseEngine(c.Engine)
	if err != nil {
		return usageError(fmt.Errorf("--engine %w", err))
	}
	tfs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tfs.Close()) }()
	target, err := resolveTarget(c)
	if err != nil {
		return err
	}
	probes, err := newProber(c, commonFields(tfs))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, probes.close()) }()
	plan, err := makePlan(c, tfs, probes, kernelFeatures())
	if err != nil {
		return err
	}
	if err := placeFilters(plan, c); err != nil {
		return err
	}
	triggers, err := planTriggers(c, plan, kernelFeatures())
	if err != nil {
		return err
	}
	warnProbes(st, o.Command, plan, target.PIDs)
	if o.Verbose || o.DryRun {
		describe(st, plan, c)
		describeTriggers(st.err, triggers)
	}
	if o.DryRun {
		return nil
	}

	// From here on a signal must not end perfpipe before what it made is taken away.
	ctx, watch := newWatch(ctx)
	defer watch.stop()
	installed, err := installProbes(tfs, plan)
	if err != nil {
		return err
	}
	if installed != nil {
		// After the source, whose descriptors hold them.
		defer func() { err = errors.Join(err, installed.Close()) }()
	}
	cfg := perfev.Config{RingBytes: c.RingBytes, KeepSelf: c.TraceSelf, Period: c.Period, CallChain: callChain(c.Stacks), CgroupIDs: c.CgroupIDs, Engine: engine, Overwrite: c.Overwrite, Before: c.Before, After: c.After}
	for i, p := range plan {
		if p.life {
			continue
		}
		ev := perfev.Event{Schema: p.schema, Filter: p.push, Optional: !p.keepEmpty, Program: p.program, User: p.probe != nil}
		ev.KernelFilter = p.needsKernel(c)
		ev.ReadsContext = slices.ContainsFunc(p.progs, readsContext)
		cfg.Events = append(cfg.Events, ev)
		if p.entry != nil {
			cfg.Entries = append(cfg.Entries, perfev.Entry{Schema: p.entry, Of: i, Path: p.probe.Path})
		}
	}
	lives, err := addLives(st, o.Command, tfs, plan, &cfg, c)
	if err != nil {
		return err
	}
	var sym *namer
	if c.Stacks.Mode != "" {
		sym = holdBinaries(c, plan)
		defer func() { err = errors.Join(err, sym.Close()) }()
	}
	var child *command
	released := false
	if len(c.Target.Command) > 0 {
		if child, err = launch(c.Target.Command, st); err != nil {
			return &exitError{err: err, code: launchStatus(err)}
		}
		defer func() {
			if !released {
				err = errors.Join(err, child.Abandon())
			}
		}()
		// As with perf, -C means every task on those processors.
		if !c.Target.All && c.Target.CPUs == "" && len(target.Cgroups)+len(target.PIDs)+len(target.TIDs) == 0 {
			target.TIDs = []int{child.proc.Pid}
			target.EnableOnExec = c.Delay == 0
		}
	}
	cfg.Target = target
	src, err := openSource(st, cfg, plan, c.Tier)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	var rec recorder = src
	live := []*perfev.Source{src}
	if len(triggers) > 0 {
		r, watched, terr := withTrigger(st, c, src, cfg, triggers)
		if terr != nil {
			return terr
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		rec, live = r, []*perfev.Source{watched, src}
	}
	if err := settleEngines(st, src, plan, o); err != nil {
		return err
	}

	if left := src.LeftOut(); len(left) > 0 {
		fmt.Fprintf(st.err, "perfpipe %s: left out, as the kernel lets nobody sample them: %s\n", o.Command, strings.Join(left, ", "))
	}

	start := perfev.ReadClock("start")
	outs, err := openOutputs(st, c, plan, start)
	if err != nil {
		return err
	}
	outs = append(outs, o.Extra...)
	if ctx.Err() != nil {
		return errors.Join(errInterrupted(), closeOutputs(outs))
	}
	for _, l := range live {
		if err := startSource(ctx, l, c); err != nil {
			return errors.Join(err, closeOutputs(outs))
		}
	}
	if child != nil {
		released = true
		if err := child.Release(); err != nil {
			return errors.Join(&exitError{err: err, code: launchStatus(err)}, closeOutputs(outs))
		}
		watch.command(child)
	} else if len(target.PIDs)+len(target.TIDs) > 0 {
		watch.targets(append(append([]int(nil), target.PIDs...), target.TIDs...))
	}
	if c.Duration > 0 {
		watch.after(c.Duration)
	}

	var source perfpipe.Source = rec
	if lives != nil {
		if source, err = lifecycle.Wrap(rec, *lives); err != nil {
			return errors.Join(err, closeOutputs(outs))
		}
	}
	run := collector.Config{
		Source: source, Outputs: outs, Start: start,
		Clock: func() perfpipe.Clock { return perfev.ReadClock("") },
		Columns: collector.Options{
			Names: c.Decode, Portable: c.Types == "portable",
			Stacks: c.Stacks.Mode != "", StackInline: c.Stacks.Inline, Cgroup: c.CgroupIDs,
		},
		Rotate:   collector.Rotate{Bytes: c.Rotate.Size, Every: c.Rotate.Every},
		MaxBytes: c.MaxSize,
		Budget:   budgetOf(c, perfev.ProcessTime),
	}
	if c.Overwrite {
		watch.fly(st, c, o, &run, rec)
	} else if c.Rotate.OnSignal {
		run.Rotate.Signal = watch.usr2
	}
	if sym != nil {
		run.Symbolizer = sym
	}
	fillRun(&run, plan)
	run.SourceFaults = src.Faults
	var progress *progressLine
	if !o.Quiet {
		if progress = newProgress(st.err, src.RingFill); progress != nil {
			run.Progress = progress.show
		}
	}
	res, err := collector.Run(ctx, run)
	progress.clear()
	var bytes int64
	for _, out := range outs {
		bytes += out.Sink.Bytes()
	}
	if n := src.LostTasks(); n > 0 {
		fmt.Fprintf(st.err, "perfpipe %s: lost %s records of names, forks and exits: pid and comm of some rows may be those of before\n", o.Command, commas(n))
	}
	if err := src.Away(); err != nil && !o.Quiet {
		fmt.Fprintf(st.err, "perfpipe %s: %v\n", o.Command, err)
	}
	if n := src.StacksRetold(); n > 0 {
		fmt.Fprintf(st.err, "perfpipe %s: the memory of call chains was full %s: rows of _stacks are there more than once, and frames may have new ids\n", o.Command, plural(n, "time"))
	}
	flightNotes(st.err, o, src, rec)
	if n := src.Pending(); n > 0 && !o.Quiet {
		fmt.Fprintf(st.err, "perfpipe %s: %s whose return is recorded had not returned when the recording ended\n", o.Command, plural(int(n), "call"))
	}
	if res != nil {
		closing(st.err, c, o, res, bytes)
	}
	status := exitOK
	if child != nil {
		status = watch.reap(child)
	}
	switch {
	case errors.Is(err, syscall.EPIPE):
		// The reader of standard output has seen enough; nobody wants to hear more.
		return &exitError{code: 128 + int(syscall.SIGPIPE)}
	case err != nil:
		return err
	case status != exitOK:
		return &exitError{code: status}
	case c.FailOnLoss && (res.Lost > 0 || res.Gaps > 0):
		return &exitError{code: exitLoss}
	}
	return nil
}

// errInterrupted is for a signal that came before the recording had begun.
func errInterrupted() error {
	return &exitError{err: errors.New("interrupted before the recording began"), code: 128 + int(syscall.SIGINT)}
}

func hasStatus(err error) bool {
	var ee *exitError
	return errors.As(err, &ee)
}

// launchStatus is a shell's for a command that cannot be started.
func launchStatus(err error) int {
	if errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "executable file not found") {
		return 127
	}
	return 126
}

// settleEngines leaves the filters of what programs record to the process, where the
// programs do not decide.
func settleEngines(st streams, src *perfev.Source, plan []*planned, o captureOptions) error {
	for i, p := range plan {
		if p.life {
			continue
		}
		ch := src.Choice(i)
		if o.Verbose {
			fmt.Fprintf(st.err, "event %s: engine: %s\n%s", p.schema.Event(), ch.Engine, describeRefusals(ch))
		}
		unpush := ch.Engine == perfev.EngineBPF && !p.decided && p.push != ""
		if unpush {
			if err := p.unpush(); err != nil {
				return err
			}
		}
		if !o.Verbose {
			continue
		}
		if unpush {
			fmt.Fprint(st.err, "  in process: all of the filter\n")
		}
		if text := p.describeTier(); text != "" {
			fmt.Fprintf(st.err, "event %s: tier: %s", p.schema.Event(), text)
		}
	}
	return nil
}

// startSource turns the events on, after the delay where one is wanted.
func startSource(ctx context.Context, src *perfev.Source, c *configs.Capture) error {
	if c.Delay == 0 {
		return src.Start()
	}
	if err := src.StartTasks(); err != nil {
		return err
	}
	// The command runs while the delay passes, so the events are turned on from aside.
	time.AfterFunc(c.Delay, func() {
		if ctx.Err() == nil {
			// It fails only where the wake-up's descriptor is closed: then the run is over.
			_ = src.EnableLater()
		}
	})
	return nil
}

// resolveTarget turns the capture's words into ids and processor numbers.
func resolveTarget(c *configs.Capture) (perfev.Target, error) {
	t := perfev.Target{PIDs: c.Target.PIDs, TIDs: c.Target.TIDs, NoInherit: c.Target.NoInherit, Tree: c.Target.Tree}
	if c.Target.CPUs != "" {
		cpus, err := perfev.ParseCPUs(c.Target.CPUs)
		if err != nil {
			return t, usageError(err)
		}
		t.CPUs = cpus
	}
	if c.Target.All && (len(t.PIDs)+len(t.TIDs) > 0 || c.Target.User != "") {
		return t, usageError(errors.New("-a records every task: it cannot be joined with -p, -t or -u"))
	}
	if c.Target.Tree && len(t.PIDs) == 0 && c.Target.User == "" && len(c.Target.Command) == 0 {
		return t, usageError(errors.New("--tree takes in the descendants of processes: name some with -p"))
	}
	if c.Target.Cgroup != "" {
		if c.Target.All || len(t.PIDs)+len(t.TIDs) > 0 || c.Target.User != "" {
			return t, usageError(errors.New("--cgroup records every task of the cgroup: it cannot be joined with -a, -p, -t or -u; -C bounds the processors, --comm the names"))
		}
		path, err := perfev.CgroupPath(c.Target.Cgroup)
		if err != nil {
			return t, usageError(err)
		}
		t.Cgroups = []string{path}
	}
	if c.Target.User != "" {
		pids, err := processesOf(c.Target.User)
		if err != nil {
			return t, err
		}
		t.PIDs = append(t.PIDs, pids...)
	}
	return t, nil
}

// processesOf lists the processes of a user, by name or number.
func processesOf(name string) ([]int, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			if _, nerr := strconv.ParseUint(name, 10, 32); nerr != nil {
				return nil, usageError(fmt.Errorf("there is no user %q", name))
			}
			u = &user.User{Uid: name}
		}
	}
	ents, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range ents {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			continue
		}
		if s, ok := fi.Sys().(*syscall.Stat_t); ok && strconv.FormatUint(uint64(s.Uid), 10) == u.Uid {
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("user %s has no process now; -a with a filter on $pid, or starting the process as the command, records later ones", name)
	}
	return pids, nil
}

// watch ends a run: by signals, the end of the command or of the targets, or time.
type watch struct {
	cancel  context.CancelFunc
	ctx     context.Context
	signals chan os.Signal
	usr2    chan struct{}
	state   chan *os.ProcessState
	quit    chan struct{}
}

func newWatch(parent context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancel(parent)
	w := &watch{cancel: cancel, ctx: ctx, signals: make(chan os.Signal, 4), usr2: make(chan struct{}, 1), quit: make(chan struct{}), state: make(chan *os.ProcessState, 1)}
	signal.Notify(w.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGPIPE)
	go func() {
		stopping := false
		for {
			select {
			case <-w.quit:
				return
			case s := <-w.signals:
				switch {
				case s == syscall.SIGPIPE: // the write has its error already
				case s == syscall.SIGUSR2:
					select {
					case w.usr2 <- struct{}{}:
					default:
					}
				case stopping:
					// Asked twice: leave at once. Files that are not whole keep their temporary names.
					os.Exit(128 + int(s.(syscall.Signal)))
				default:
					stopping = true
					cancel()
				}
			}
		}
	}()
	return ctx, w
}

func (w *watch) stop() {
	signal.Stop(w.signals)
	close(w.quit)
	w.cancel()
}

// command ends the run when the command has ended.
func (w *watch) command(c *command) {
	go func() {
		s := <-c.done
		w.state <- s
		w.cancel()
	}()
}

// reap returns the status of the command. Where the run ended before it, by a
// signal or the duration, it is asked to end, and how it does says nothing.
func (w *watch) reap(c *command) int {
	select {
	case s := <-w.state:
		return exitStatus(s)
	case <-time.After(20 * time.Millisecond):
	}
	c.Terminate()
	<-w.state
	return exitOK
}

// targets ends the run when none of the ids is alive any more.
func (w *watch) targets(ids []int) {
	go func() {
		t := time.NewTicker(50 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-w.ctx.Done():
				return
			case <-t.C:
			}
			alive := false
			for _, id := range ids {
				alive = alive || perfev.Alive(id)
			}
			if !alive {
				w.cancel()
				return
			}
		}
	}()
}

func (w *watch) after(d time.Duration) {
	go func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-w.ctx.Done():
		case <-t.C:
			w.cancel()
		}
	}()
}
