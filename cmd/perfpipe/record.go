package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/uprobe"
)

const recordHelp = `Record events of the running kernel and of user programs into tables, until the
command ends, the duration is over, or Ctrl-C.

perf record's letters and meanings hold: put perfpipe for perf in a line from a
manual. A --filter belongs to the -e before it. Without a command, -p, -t, -u or -G
every task is recorded. A command begins at the first word that is no flag.

EVENT is one of
  SYSTEM:NAME                          tracepoints, globs too: 'perfpipe list'
  uprobe:BINARY:FUNCTION(ARG,..)       a function of a program: 'perfpipe probes'
  uretprobe:BINARY:FUNCTION(ret:TYPE)  its return
  usdt:BINARY:PROVIDER:NAME(ARG,..)    a static probe
  lifecycle                            forks, execs, signals, exits in one table
BINARY is a path, a soname (libc.so.6) or a command. An ARG is a parameter's name (r->id)
where there is debug information, else a position with a type: arg0:string, arg1:u64.
With -x BINARY the -e behind it name functions: FUNCTION(ARG,..), FUNCTION%return.`

const recordExample = `  perfpipe record -e irq:irq_handler_entry --filter 'irq==18 || irq==19' -- sleep 1
  perfpipe record -e 'sched:*' -a -o sched.dataset -- sleep 1
  perfpipe record -e sched:sched_switch -e 'syscalls:sys_enter_open*' -p 4711 --duration 10s -o trace.parquet
  perfpipe record -e sched:sched_wakeup --filter 'prio < 100 && comm ~ "kworker*"' -a -o - --format ndjson --duration 1s
  perfpipe record -e 'uretprobe:bash:readline(ret:string)' --duration 1m -o lines.parquet
  perfpipe record -x libc.so.6 -e 'malloc(arg0:u64)' --filter 'arg0 > 4096' -g -o heap -- ls
  perfpipe record --program 'on sched:sched_process_exec { return rate(10, 1000); }' -a -o execs -- make
  perfpipe record -e lifecycle -e 'sched:*' -p 4711 --tree -o life
  perfpipe record -e 'sched:*' --overwrite --trigger 'prev_comm == "backup"' --before 2s --after 1s -o moments
  perfpipe record -e 'block:*' -a --switch-output=1h --switch-max-files 24 -o /var/lib/perfpipe/block`

// recordOptions are the flags of record that are no part of a capture.
type recordOptions struct {
	quiet, verbose, dryRun bool
}

func newRecord(st streams) *cobra.Command {
	c := &configs.Capture{}
	o := &recordOptions{}
	f := &recordFlags{c: c}
	cmd := &cobra.Command{
		Use:     "record -e EVENT [--filter EXPR] [flags] [--] [COMMAND [ARG...]]",
		Short:   "record events of the kernel and of user programs into tables",
		Long:    recordHelp,
		Example: recordExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			c.Target.Command = args
			for _, w := range f.finish() {
				fmt.Fprintf(st.err, "perfpipe record: %s\n", w)
			}
			if len(c.Events)+len(c.Programs) == 0 {
				return usageError(errors.New("record: no event is named; -e 'sched:*' names some, 'perfpipe list' shows them all"))
			}
			if err := checkChoices(c); err != nil {
				return usageError(fmt.Errorf("record: %w", err))
			}
			return runCapture(cmd.Context(), st, c, captureOptions{Command: "record", Quiet: o.quiet, Verbose: o.verbose, DryRun: o.dryRun})
		},
	}
	f.add(cmd, o)
	// It fails only where there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc("event", f.completeEventFlag)
	completeTier(cmd)
	return cmd
}

// checkChoices reports a word that is none of those that can be chosen.
func checkChoices(c *configs.Capture) error {
	if c.OnFault != "drop" && c.OnFault != "pass" {
		return fmt.Errorf("--on-fault %q is neither drop nor pass", c.OnFault)
	}
	if err := checkTier(c.Tier); err != nil {
		return err
	}
	if c.Types != "kernel" && c.Types != "portable" {
		return fmt.Errorf("--types %q is neither kernel nor portable", c.Types)
	}
	if c.FilterBudget < 0 || c.FilterBudget > filters.MaxBudget {
		return fmt.Errorf("--filter-budget %d: it is at most %d, and 0 is the default", c.FilterBudget, filters.MaxBudget)
	}
	if c.Period < 0 {
		return fmt.Errorf("--count %d: the distance of events is not negative", c.Period)
	}
	if _, err := collector.ParseOver(c.Over); err != nil {
		return fmt.Errorf("--over %w", err)
	}
	if c.Over != "" && c.MaxRate == 0 && c.MaxCPU == 0 {
		return fmt.Errorf("--over %s says what is left out beyond a budget, and there is none: add --max-rate or --max-cpu", c.Over)
	}
	if err := checkThreads(c.Threads); err != nil {
		return err
	}
	if c.Duration < 0 || c.Delay < 0 {
		return errors.New("--duration and --delay must not be negative")
	}
	return c.CheckFlight()
}

func checkThreads(n int) error {
	if n < 0 || n > configs.MaxThreads {
		return fmt.Errorf("--threads %d: 1 to %d are possible, 0 goes by the processors", n, configs.MaxThreads)
	}
	return nil
}

// recordFlags decodes perf record's flags into a capture.
type recordFlags struct {
	c                *configs.Capture
	compress, format string
	clock            string
	frequency        string
	delayMS          int
	// exec is the -x before the events that follow.
	exec                          string
	chain, kernelChain, userChain bool
	ignoredR, ignoredF, noBuffer  bool
	warnings                      []string
}

func (f *recordFlags) add(cmd *cobra.Command, o *recordOptions) {
	fl := cmd.Flags()
	fl.SetInterspersed(false)
	fl.SortFlags = false
	c := f.c
	fl.VarP(setter{"EVENT", f.event}, "event", "e", "events, probes and lifecycle, as above; globs, several with commas, !name takes away; repeatable")
	fl.VarP(setter{"BINARY", f.binary}, "exec", "x", "the -e behind it name functions of this program or library")
	fl.Var(setter{"EXPR", f.filter}, "filter", "filter for the -e before it, @FILE reads it; several are joined by &&")
	fl.Var(setter{"FILE|TEXT", f.program}, "program", "a program whose on clauses name events and say which records are kept: 'perfpipe filters'; repeatable")
	fl.BoolVarP(&c.Target.All, "all-cpus", "a", false, "every task, also while a command runs")
	fl.VarP(setter{"PID,..", f.ids(&c.Target.PIDs)}, "pid", "p", "processes, all their threads")
	fl.VarP(setter{"TID,..", f.ids(&c.Target.TIDs)}, "tid", "t", "single threads")
	fl.StringVarP(&c.Target.User, "uid", "u", "", "every process of a user, by name or number")
	fl.StringVarP(&c.Target.CPUs, "cpu", "C", "", "processors to record on, such as 0,2-4: every task on them")
	fl.BoolVar(&c.Target.Tree, "tree", false, "with -p or -u: their descendants that are there already as well")
	fl.StringVarP(&c.Target.Cgroup, "cgroup", "G", "", "every task of the cgroup `PATH` and of those below it; as /proc/PID/cgroup has it")
	fl.StringVar(&c.Target.Comm, "comm", "", "only tasks that bear this `NAME`, or match this glob, when the event happens")
	fl.BoolVarP(&c.Target.NoInherit, "no-inherit", "i", false, "leave out threads and children that start later")
	fl.BoolVarP(&f.chain, "call-chain", "g", false, "record call chains, by frame pointers: --call-graph fp")
	fl.Var(setter{"fp|dwarf[,SIZE]", f.callGraph}, "call-graph", "record call chains: by frame pointers, or of a copy of SIZE bytes (8192) of the stack")
	fl.BoolVar(&f.kernelChain, "kernel-callchains", false, "call chains of the kernel's part alone")
	fl.BoolVar(&f.userChain, "user-callchains", false, "call chains of the process's part alone")
	fl.BoolVar(&c.Stacks.Inline, "stack-inline", false, "the names of the frames in every row too: a column stack")
	fl.BoolVar(&c.CgroupIDs, "cgroup-id", false, "a column cgroup with the id of the task's cgroup (v2)")
	fl.StringVar(&c.RetMode, "ret-mode", "auto", "how returns are found: `MODE` auto, sites (the return instructions) or trampoline (uretprobe)")
	fl.BoolVar(&c.UnsafeUretprobe, "unsafe-uretprobe", false, "allow --ret-mode trampoline on Go programs, which may kill them")
	fl.StringVar(&c.Engine, "engine", "auto", "what makes the records: `ENGINE` auto, perf (samples), ftrace (its ring) or bpf (programs)")
	fl.StringVar(&c.Tier, "tier", tierAuto, "where filters decide: `TIER` auto, kernel (its own filters), bpf (programs in the kernel) or process")
	fl.BoolVar(&c.Overwrite, "overwrite", false, "flight recorder: rings keep the latest, written at SIGUSR2, at the trigger and at the end")
	fl.StringVar(&c.Trigger, "trigger", "", "with --overwrite: a record that this filter `EXPR` lets through has the rings written")
	fl.DurationVar(&c.Before, "before", 0, "with --overwrite: how far back what is written goes, such as 2s (default all)")
	fl.DurationVar(&c.After, "after", 0, "how far it goes on behind a trigger, such as 1s")
	f.addShared(fl)
	fl.VarP(setter{"PAGES|SIZE", f.ring}, "mmap-pages", "m", "ring of each processor: pages, or bytes with B, K, M or G")
	fl.DurationVar(&c.Duration, "duration", 0, "end after this time, such as 10s")
	fl.IntVarP(&f.delayMS, "delay", "D", 0, "wait so many milliseconds before events are on")
	fl.Var(setter{"SIZE", f.size(&c.MaxSize)}, "max-size", "end when so much was written")
	fl.Var(setter{"ROWS/s", f.rate}, "max-rate", "at most so many rows a second, such as 50k; what is over it is counted as lost")
	fl.Var(setter{"PERCENT", f.percent}, "max-cpu", "take at most so much of one processor, such as 20: fewer rows, the rest counted as lost")
	fl.StringVar(&c.Over, "over", "", "what is left out beyond these: `WORD` sample (slices of a thread's time, the default), threads, or events (the noisiest first)")
	fl.Var(setter{"signal|SIZE|TIME", f.rotate}, "switch-output", "finish the files and begin new ones: at SIGUSR2, by size, or by time")
	fl.Lookup("switch-output").NoOptDefVal = "signal"
	fl.IntVar(&c.Rotate.MaxFiles, "switch-max-files", 0, "keep the newest so many files of each table")
	fl.BoolVar(&c.TraceSelf, "trace-self", false, "keep events of perfpipe's own threads")
	fl.IntVarP(&c.Period, "count", "c", 1, "record every so many-th event")
	fl.BoolVar(&o.dryRun, "dry-run", false, "resolve and check everything, record nothing")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "no progress and no closing line")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, "say what is opened and pushed to the kernel")
	fl.StringVarP(&f.clock, "clockid", "k", "", "CLOCK_MONOTONIC, which is always used")
	fl.StringVarP(&f.frequency, "freq", "F", "", "accepted; a tracepoint has no frequency")
	fl.BoolVarP(&f.ignoredR, "raw-samples", "R", false, "accepted; samples are always raw")
	fl.BoolVarP(&f.ignoredF, "force", "f", false, "accepted; nothing is overwritten")
	fl.BoolVar(&f.noBuffer, "no-buffering", false, "accepted; rows of a stream are always shown within a second")
}

// addShared adds the flags that convert has as well: outputs, columns, filters.
func (f *recordFlags) addShared(fl *pflag.FlagSet) {
	c := f.c
	fl.Var(setter{"EVENT", f.exclude}, "exclude", "take events away from every -e; repeatable")
	fl.VarP(setter{"PATH", f.output}, "output", "o", "a folder, or a file .parquet .arrow .arrows .csv .ndjson .txt, or - for standard output; repeatable (default perfpipe.data)")
	fl.StringVar(&f.format, "format", "", "format where the path does not say it: parquet, arrow, arrows, csv, ndjson, txt")
	fl.StringVarP(&f.compress, "compression-level", "z", "", "zstd level 1 to 22 of Parquet (default 1)")
	fl.Lookup("compression-level").NoOptDefVal = "1"
	fl.IntVar(&c.Threads, "threads", 0, "`N` threads encode and compress Parquet, beside the one that reads (default half of the processors, 1 to 4)")
	fl.StringVar(&c.OnFault, "on-fault", "drop", "what becomes of a record whose filter faults: drop or pass")
	fl.IntVar(&c.FilterBudget, "filter-budget", filters.DefaultBudget, "predicates, calls and rounds of loops that a program may use on a record: `N`")
	fl.BoolVar(&c.KernelCompat, "kernel-compat", false, "filters mean exactly what the kernel's engine makes of them")
	fl.BoolVar(&c.Decode, "decode", false, "add a <field>_name column beside enums and flags")
	fl.StringVar(&c.Types, "types", "kernel", "kernel, or portable: unsigned columns widened")
	fl.BoolVar(&c.FailOnLoss, "fail-on-loss", false, "exit with 3 when anything was lost")
}

// setter is a flag whose every use calls a function, in the order of the command line.
type setter struct {
	kind string
	set  func(string) error
}

func (s setter) String() string     { return "" }
func (s setter) Type() string       { return s.kind }
func (s setter) Set(v string) error { return s.set(v) }

func (f *recordFlags) event(v string) error {
	var names []string
	for _, n := range uprobe.SplitList(v) {
		if n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return errors.New("no event is named")
	}
	if f.exec == "" {
		f.c.Events = append(f.c.Events, configs.Event{Select: names})
		return nil
	}
	// Behind -x a word is a function, but for what is an event's name.
	ev, of := configs.Event{}, configs.Event{Binary: f.exec}
	for _, n := range names {
		if isEventName(n) {
			ev.Select = append(ev.Select, n)
		} else {
			of.Select = append(of.Select, n)
		}
	}
	for _, e := range []configs.Event{ev, of} {
		if len(e.Select) > 0 {
			f.c.Events = append(f.c.Events, e)
		}
	}
	return nil
}

// lifecycleEvent is the word for the table of the lives of processes.
const lifecycleEvent = "lifecycle"

// isEventName reports whether a word names tracepoints and no function of a binary:
// SYSTEM:NAME with one colon, and not perf's sdt_PROVIDER:NAME.
func isEventName(n string) bool {
	n = strings.TrimPrefix(n, "!")
	if strings.HasPrefix(n, "tracepoint:") || n == lifecycleEvent {
		return true
	}
	system, name, ok := strings.Cut(n, ":")
	return ok && system != "" && name != "" && !strings.Contains(n, "::") && !strings.ContainsAny(n, "(\"'") && !strings.HasPrefix(n, "sdt_") && !uprobe.IsSpec(n)
}

func (f *recordFlags) binary(v string) error {
	if v == "" {
		return errors.New("the file is not named")
	}
	f.exec = v
	return nil
}

// callGraph reads fp, dwarf or dwarf,SIZE.
func (f *recordFlags) callGraph(v string) error {
	mode, size, sized := strings.Cut(v, ",")
	switch {
	case mode == "lbr":
		return errors.New("lbr needs branch records of the processor; fp and dwarf there are")
	case mode != "fp" && mode != "dwarf":
		return fmt.Errorf("%q is neither fp nor dwarf", mode)
	case sized && mode == "fp":
		return errors.New("fp copies no stack and has no size")
	}
	f.c.Stacks.Mode = mode
	if !sized {
		return nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 8 || n > maxStackCopy || n%8 != 0 {
		return fmt.Errorf("%q: a copied stack has 8 to %d bytes, a multiple of 8", size, maxStackCopy)
	}
	f.c.Stacks.Size = n
	return nil
}

// maxStackCopy is the most that the kernel copies of a stack (sample_stack_user has
// to fit the 16 bits of a record's size).
const maxStackCopy = 65528

func (f *recordFlags) filter(v string) error {
	if len(f.c.Events) == 0 {
		return errors.New("a filter belongs to the -e before it, and there is none: put -e EVENT first")
	}
	v, err := filterText(v)
	if err != nil {
		return err
	}
	e := &f.c.Events[len(f.c.Events)-1]
	if e.Filter != "" {
		if err := joinPrograms(e.Filter, v); err != nil {
			return err
		}
		v = "(" + e.Filter + ") && (" + v + ")"
	}
	e.Filter = v
	return nil
}

func (f *recordFlags) program(v string) error {
	text, err := programText(v)
	if err != nil {
		return err
	}
	f.c.Programs = append(f.c.Programs, text)
	return nil
}

func (f *recordFlags) exclude(v string) error {
	f.c.Exclude = append(f.c.Exclude, strings.Split(v, ",")...)
	return nil
}

func (f *recordFlags) ids(to *[]int) func(string) error {
	return func(v string) error {
		for _, s := range strings.Split(v, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(s))
			if err != nil || n < 1 || n > math.MaxInt32 {
				return fmt.Errorf("%q is no process or thread id", s)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

func (f *recordFlags) output(v string) error {
	if v == "" {
		return errors.New("the path is empty")
	}
	f.c.Outputs = append(f.c.Outputs, configs.Output{Path: v})
	return nil
}

func (f *recordFlags) ring(v string) error {
	if n, err := strconv.Atoi(v); err == nil {
		if n < 1 || n > 1<<18 {
			return fmt.Errorf("%d pages: 1 to 262144 are possible", n)
		}
		f.c.RingBytes = n * os.Getpagesize()
		return nil
	}
	n, err := configs.ParseSize(v)
	if err != nil {
		return err
	}
	if n > 1<<30 {
		return fmt.Errorf("a ring of %s: at most 1G is possible", v)
	}
	f.c.RingBytes = int(n)
	return nil
}

func (f *recordFlags) size(to *int64) func(string) error {
	return func(v string) (err error) {
		*to, err = configs.ParseSize(v)
		return err
	}
}

func (f *recordFlags) rate(v string) (err error) {
	f.c.MaxRate, err = configs.ParseRate(strings.TrimSuffix(v, "/s"))
	return err
}

func (f *recordFlags) percent(v string) (err error) {
	f.c.MaxCPU, err = configs.ParsePercent(v)
	return err
}

func (f *recordFlags) rotate(v string) error {
	if v == "signal" {
		f.c.Rotate.OnSignal = true
		return nil
	}
	// perf's times end in s, m, h or d; a bare m is minutes, sizes end in B, K, M or G.
	if strings.HasSuffix(v, "d") {
		if n, err := strconv.Atoi(v[:len(v)-1]); err == nil && n > 0 && n < 10000 {
			f.c.Rotate.Every = time.Duration(n) * 24 * time.Hour
			return nil
		}
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		f.c.Rotate.Every = d
		return nil
	}
	n, err := configs.ParseSize(v)
	if err != nil {
		return fmt.Errorf("%q is neither signal, nor a size such as 100M, nor a time such as 30s", v)
	}
	f.c.Rotate.Size = n
	return nil
}

// finish settles what depends on several flags, and returns warnings.
func (f *recordFlags) finish() []string {
	c := f.c
	if len(c.Outputs) == 0 {
		c.Outputs = []configs.Output{{Path: defaultOutput}}
	}
	for i := range c.Outputs {
		c.Outputs[i].Format = f.format
		if f.compress != "" {
			c.Outputs[i].Compression = "zstd"
			c.Outputs[i].Level, _ = strconv.Atoi(f.compress)
		}
	}
	if f.chain && c.Stacks.Mode == "" {
		c.Stacks.Mode = "fp"
	}
	if c.Stacks.Mode == "" && (f.kernelChain || f.userChain || c.Stacks.Inline) {
		c.Stacks.Mode = "fp"
	}
	if c.Stacks.Mode != "" {
		c.Stacks.Kernel, c.Stacks.User = f.kernelChain || !f.userChain, f.userChain || !f.kernelChain
	}
	c.Delay = time.Duration(f.delayMS) * time.Millisecond
	if f.frequency != "" {
		f.warnings = append(f.warnings, "-F is ignored: tracepoints are recorded each time; -c N takes every N-th")
	}
	if f.clock != "" && f.clock != "CLOCK_MONOTONIC" && f.clock != "monotonic" && f.clock != "mono" {
		f.warnings = append(f.warnings, "-k "+f.clock+" is ignored: ts is on CLOCK_MONOTONIC and time on the wall clock; _clock relates them")
	}
	return f.warnings
}
