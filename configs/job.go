package configs

import (
	"errors"
	"math"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// Words that a key chooses from; the first is the default.
var (
	onFaultWords     = [...]string{"drop", "pass"}
	typesWords       = [...]string{"kernel", "portable"}
	formatWords      = [...]string{"parquet", "arrow", "arrows", "csv", "ndjson", "txt"}
	tierWords        = [...]string{"auto", "kernel", "bpf", "process"}
	engineWords      = [...]string{"auto", "perf", "ftrace", "bpf"}
	retModeWords     = [...]string{"auto", "sites", "trampoline"}
	overWords        = [...]string{"sample", "threads", "events"}
	stacksWords      = [...]string{"fp", "dwarf", "none"}
	compressionWords = [...]string{"zstd", "snappy", "gzip", "none"}
)

// jobName keeps names fit for a folder, a service and a command line.
var jobName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxFilterBudget is the most that a program may use on a record, as the language has it.
const maxFilterBudget = 1 << 20

func knownJobKey(name string) bool {
	for _, k := range (&decoder{}).jobKeys(&Capture{}, &jobNodes{}) {
		if k.name == name {
			return true
		}
	}
	return false
}

// jobNodes are the nodes that faults between keys are reported at.
type jobNodes struct {
	name, events, over *yaml.Node
	// overwrite, trigger, before and after are the flight recorder's.
	overwrite, trigger, before, after *yaml.Node
	filters                           []filterNode
	programs                          []*yaml.Node
	probes                            []probeNode
}

// probeNode is a probe to look for once the whole job, with its target, is known.
type probeNode struct {
	node *yaml.Node
	// event has that probe alone, and its binary.
	event Event
}

// filterNode is a filter to check once the whole job is known.
type filterNode struct {
	node  *yaml.Node
	event Event
}

func (d *decoder) jobKeys(c *Capture, at *jobNodes) []key {
	return []key{
		{"name", func(n *yaml.Node) {
			at.name = n
			if s, ok := d.word(n, "name"); ok {
				if !jobName.MatchString(s) {
					d.fail(n, "the name %q must be letters, digits and . _ -, at most 64, the first a letter or digit", s)
				}
				c.Name = s
			}
		}},
		{"events", func(n *yaml.Node) { at.events = n; d.events(n, c, at) }},
		{"program", func(n *yaml.Node) {
			d.each(n, "program", func(e *yaml.Node) {
				if s, ok := d.text(e, "program"); ok {
					c.Programs, at.programs = append(c.Programs, strings.TrimSpace(s)), append(at.programs, e)
				}
			})
		}},
		{"exclude", func(n *yaml.Node) {
			d.each(n, "exclude", func(e *yaml.Node) { c.Exclude = append(c.Exclude, d.selection(e, "exclude", "")...) })
		}},
		{"target", func(n *yaml.Node) { d.target(n, &c.Target) }},
		{"outputs", func(n *yaml.Node) { d.outputs(n, c) }},
		{"rotate", func(n *yaml.Node) { d.rotate(n, &c.Rotate) }},
		{"max_size", func(n *yaml.Node) { measured(d, n, "max_size", &c.MaxSize, ParseSize) }},
		{"max_rate", func(n *yaml.Node) { measured(d, n, "max_rate", &c.MaxRate, ParseRate) }},
		{"max_cpu", func(n *yaml.Node) { measured(d, n, "max_cpu", &c.MaxCPU, ParsePercent) }},
		{"over", func(n *yaml.Node) { at.over = n; d.choice(n, "over", &c.Over, overWords[:]...) }},
		{"duration", func(n *yaml.Node) { measured(d, n, "duration", &c.Duration, ParseDuration) }},
		{"delay", func(n *yaml.Node) { measured(d, n, "delay", &c.Delay, ParseDuration) }},
		{"ring", func(n *yaml.Node) { measured(d, n, "ring", &c.RingBytes, ParseRing) }},
		{"period", func(n *yaml.Node) {
			if v, ok := d.number(n, "period", math.MaxInt32); ok {
				c.Period = v
			}
		}},
		{"on_fault", func(n *yaml.Node) { d.choice(n, "on_fault", &c.OnFault, onFaultWords[:]...) }},
		{"filter_budget", func(n *yaml.Node) {
			if v, ok := d.number(n, "filter_budget", maxFilterBudget); ok {
				c.FilterBudget = v
			}
		}},
		{"tier", func(n *yaml.Node) { d.choice(n, "tier", &c.Tier, tierWords[:]...) }},
		{"kernel_compat", func(n *yaml.Node) { d.flag(n, "kernel_compat", &c.KernelCompat) }},
		{"trace_self", func(n *yaml.Node) { d.flag(n, "trace_self", &c.TraceSelf) }},
		{"fail_on_loss", func(n *yaml.Node) { d.flag(n, "fail_on_loss", &c.FailOnLoss) }},
		{"threads", func(n *yaml.Node) {
			if v, ok := d.number(n, "threads", MaxThreads); ok {
				c.Threads = v
			}
		}},
		{"decode", func(n *yaml.Node) { d.flag(n, "decode", &c.Decode) }},
		{"engine", func(n *yaml.Node) { d.choice(n, "engine", &c.Engine, engineWords[:]...) }},
		{"overwrite", func(n *yaml.Node) { at.overwrite = n; d.flag(n, "overwrite", &c.Overwrite) }},
		{"trigger", func(n *yaml.Node) {
			at.trigger = n
			if s, ok := d.text(n, "trigger"); ok {
				c.Trigger = strings.TrimSpace(s)
			}
		}},
		{"before", func(n *yaml.Node) { at.before = n; measured(d, n, "before", &c.Before, ParseDuration) }},
		{"after", func(n *yaml.Node) { at.after = n; measured(d, n, "after", &c.After, ParseDuration) }},
		{"ret_mode", func(n *yaml.Node) { d.choice(n, "ret_mode", &c.RetMode, retModeWords[:]...) }},
		{"unsafe_uretprobe", func(n *yaml.Node) { d.flag(n, "unsafe_uretprobe", &c.UnsafeUretprobe) }},
		{"stacks", func(n *yaml.Node) { d.stacks(n, &c.Stacks) }},
		{"cgroup_ids", func(n *yaml.Node) { d.flag(n, "cgroup_ids", &c.CgroupIDs) }},
		{"types", func(n *yaml.Node) { d.choice(n, "types", &c.Types, typesWords[:]...) }},
	}
}

// job decodes one job and returns the node that names it, or its own.
func (d *decoder) job(n *yaml.Node, c *Capture) *yaml.Node {
	var at jobNodes
	before := len(d.faults)
	d.mapping(n, "a job", d.jobKeys(c, &at), nil)
	switch {
	case n.Kind != yaml.MappingNode:
	case at.events == nil && len(c.Programs) == 0 && !mentions(n, "events") && !mentions(n, "program"):
		d.fail(n, "the job has no events; add: events: [\"sched:*\"]")
	case at.events != nil && len(d.faults) == before:
		taken := false
		for _, e := range c.Events {
			for _, s := range e.Select {
				taken = taken || !strings.HasPrefix(s, "!")
			}
		}
		if !taken {
			d.fail(at.events, "every event is taken away and none is named")
		}
	}
	if at.over != nil && c.MaxRate == 0 && c.MaxCPU == 0 && len(d.faults) == before {
		d.fail(at.over, "over says what is left out beyond a budget, and there is none; add max_rate or max_cpu")
	}
	if d.check.Probe != nil {
		for _, p := range at.probes {
			if err := d.check.Probe(c, p.event); err != nil {
				d.fail(p.node, "%v", err)
			}
		}
	}
	for _, f := range at.filters {
		d.filter(f, c)
	}
	for i, p := range at.programs {
		if d.check.Program != nil {
			d.failWithin(p, d.check.Program(c, c.Programs[i]))
		}
	}
	d.flight(c, &at, before)
	if at.name != nil {
		return at.name
	}
	return n
}

// mentions reports whether the mapping has the key, or one that was meant to be it:
// then there is a fault already.
func mentions(n *yaml.Node, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i].Value; k == name || nearest(k, []string{name}) != "" {
			return true
		}
	}
	return false
}

func (d *decoder) events(n *yaml.Node, c *Capture, at *jobNodes) {
	d.each(n, "events", func(e *yaml.Node) {
		var ev Event
		if e.Kind != yaml.MappingNode {
			if ev.Select = d.selection(e, "event", ""); ev.Select != nil {
				c.Events = append(c.Events, ev)
				at.addProbes(e, ev.Select, "")
			}
			return
		}
		var named, filter *yaml.Node
		d.mapping(e, "an entry of events", []key{
			{"event", func(v *yaml.Node) { named = v }},
			{"filter", func(v *yaml.Node) {
				if s, ok := d.text(v, "filter"); ok {
					filter, ev.Filter = v, strings.TrimSpace(s)
				}
			}},
			{"binary", func(v *yaml.Node) { ev.Binary, _ = d.text(v, "binary") }},
		}, nil)
		if named == nil {
			if !mentions(e, "event") {
				d.fail(e, "this entry of events names no event; add: event: 'system:name'")
			}
			return
		}
		d.each(named, "event", func(s *yaml.Node) {
			words := d.selection(s, "event", ev.Binary)
			ev.Select = append(ev.Select, words...)
			at.addProbes(s, words, ev.Binary)
		})
		if filter != nil {
			at.filters = append(at.filters, filterNode{filter, ev})
		}
		c.Events = append(c.Events, ev)
	})
}

// addProbes takes those of the words that are probes, to be looked for later.
func (at *jobNodes) addProbes(n *yaml.Node, words []string, binary string) {
	for _, w := range words {
		if !strings.HasPrefix(w, "!") && (binary != "" || IsProbe(w)) {
			at.probes = append(at.probes, probeNode{n, Event{Select: []string{w}, Binary: binary}})
		}
	}
}

// selection decodes names, globs and probes, which commas may separate as on the
// command line. Beside a binary they are its functions.
func (d *decoder) selection(n *yaml.Node, what, binary string) []string {
	s, ok := d.text(n, what)
	if !ok {
		return nil
	}
	var list []string
	for _, p := range SplitSelection(s) {
		whole := p
		if binary != "" {
			if IsProbe(p) || p == "" || strings.HasPrefix(p, "!") {
				d.fail(n, "%s: %q stands beside a binary, whose functions are named alone: readline, 'readline%%return', 'read*'", what, p)
				continue
			}
			whole = probeOf(binary, p)
		}
		if err := checkSelection(whole); err != nil {
			d.fail(n, "%s: %v", what, err)
			continue
		}
		list = append(list, p)
		if d.check.Event != nil {
			if err := d.check.Event(whole); err != nil {
				d.fail(n, "%v", err)
			}
		}
	}
	return list
}

func (d *decoder) filter(f filterNode, c *Capture) {
	if d.check.Filter != nil {
		d.failWithin(f.node, d.check.Filter(c, f.event))
	}
}

// failWithin reports what is wrong with the filter that n has, at its place in it.
func (d *decoder) failWithin(n *yaml.Node, err error) {
	if err == nil {
		return
	}
	line, column := n.Line, n.Column
	var p positioned
	if errors.As(err, &p) && p.Position() >= 0 {
		// The value may begin with blanks, which the filter does not.
		lead := len(n.Value) - len(strings.TrimLeftFunc(n.Value, unicode.IsSpace))
		line, column = d.src.within(n, lead+p.Position())
	}
	d.failAt(line, column, "%v", err)
}

func (d *decoder) target(n *yaml.Node, t *Target) {
	ids := func(what string, to *[]int) func(*yaml.Node) {
		return func(n *yaml.Node) {
			d.each(n, what, func(e *yaml.Node) {
				if v, ok := d.number(e, what, math.MaxInt32); ok {
					*to = append(*to, v)
				}
			})
		}
	}
	name := func(what string, to *string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			if s, ok := d.word(n, what); ok {
				switch {
				case strings.TrimSpace(s) == "":
					d.fail(n, "%s is empty", what)
				case strings.ContainsRune(s, 0):
					d.fail(n, "%s holds a NUL character", what)
				case what == "comm" && len(s) > commLen && !strings.ContainsAny(s, "*?["):
					d.fail(n, "comm: %q has %d bytes, and the kernel keeps at most %d of a task's name", s, len(s), commLen)
				}
				*to = s
			}
		}
	}
	var all, tree, cgroup *yaml.Node
	inherit := true
	d.mapping(n, "target", []key{
		{"all", func(n *yaml.Node) { all = n; d.flag(n, "all", &t.All) }},
		{"pids", ids("pids", &t.PIDs)},
		{"tids", ids("tids", &t.TIDs)},
		{"user", name("user", &t.User)},
		{"comm", name("comm", &t.Comm)},
		{"cgroup", func(n *yaml.Node) { cgroup = n; name("cgroup", &t.Cgroup)(n) }},
		{"tree", func(n *yaml.Node) { tree = n; d.flag(n, "tree", &t.Tree) }},
		{"cpus", func(n *yaml.Node) {
			var parts []string
			d.each(n, "cpus", func(e *yaml.Node) {
				if s, ok := d.word(e, "cpus"); ok {
					parts = append(parts, s)
					if d.check.CPUs != nil {
						if err := d.check.CPUs(s); err != nil {
							d.fail(e, "cpus: %v", err)
						}
					}
				}
			})
			t.CPUs = strings.Join(parts, ",")
		}},
		{"command", func(n *yaml.Node) { t.Command = d.command(n) }},
		{"inherit", func(n *yaml.Node) { d.flag(n, "inherit", &inherit); t.NoInherit = !inherit }},
	}, nil)
	named := len(t.PIDs)+len(t.TIDs) > 0 || t.User != ""
	if t.All && (named || t.Cgroup != "") {
		d.fail(all, "all records every task: it cannot be joined with pids, tids, user or cgroup")
	}
	if t.Cgroup != "" && named && !t.All {
		d.fail(cgroup, "cgroup records every task of the cgroup: it cannot be joined with pids, tids or user")
	}
	switch {
	case !t.Tree:
	case t.NoInherit:
		d.fail(tree, "tree takes the processes that the targets start, and inherit: false leaves them out")
	case t.All || len(t.PIDs)+len(t.Command) == 0 && t.User == "":
		d.fail(tree, "tree needs a process to begin with; add pids, user or command")
	}
}

// commLen is the most bytes of a task's name (TASK_COMM_LEN - 1).
const commLen = 15

// stacks decodes the way call chains are taken, or a mapping of all that belongs to them.
func (d *decoder) stacks(n *yaml.Node, s *Stacks) {
	mode := stacksWords[0]
	if n.Kind != yaml.MappingNode {
		d.choice(n, "stacks", &mode, stacksWords[:]...)
		if mode != "none" {
			*s = Stacks{Mode: mode, Kernel: true, User: true}
		}
		return
	}
	var inline, size *yaml.Node
	before := len(d.faults)
	s.Kernel, s.User = true, true
	d.mapping(n, "stacks", []key{
		{"mode", func(n *yaml.Node) { d.choice(n, "mode", &mode, stacksWords[:]...) }},
		{"kernel", func(n *yaml.Node) { d.flag(n, "kernel", &s.Kernel) }},
		{"user", func(n *yaml.Node) { d.flag(n, "user", &s.User) }},
		{"inline", func(n *yaml.Node) { inline = n; d.flag(n, "inline", &s.Inline) }},
		{"size", func(n *yaml.Node) {
			size = n
			var v int64
			measured(d, n, "size", &v, ParseSize)
			s.Size = int(v)
		}},
	}, nil)
	s.Mode = mode
	switch {
	case len(d.faults) > before:
	case mode == "none" && s.Inline:
		d.fail(inline, "inline shows stacks, and the mode none takes none")
	case size != nil && mode != "dwarf":
		d.fail(size, "size is that of the stack which mode: dwarf copies; take it away")
	case size != nil && (s.Size%8 != 0 || s.Size > maxStackSize):
		d.fail(size, "size: the kernel copies a multiple of 8 bytes, at most %d", maxStackSize)
	case mode == "none":
		*s = Stacks{}
	case !s.Kernel && !s.User:
		d.fail(n, "stacks of neither the kernel nor the process are none; write stacks: none")
	case mode == "dwarf" && !s.User:
		d.fail(n, "mode: dwarf is a way to take the process's stack; for the kernel's alone write mode: fp")
	}
}

// maxStackSize is the most that the kernel copies of a stack (a u16 less its
// rounding, perf_event_open's sample_stack_user), in bytes.
const maxStackSize = 65528

// command decodes the words of a command. A text is given to the shell.
func (d *decoder) command(n *yaml.Node) []string {
	if n.Kind != yaml.SequenceNode {
		if s, ok := d.text(n, "command"); ok {
			return []string{"/bin/sh", "-c", s}
		}
		return nil
	}
	var words []string
	d.each(n, "command", func(e *yaml.Node) {
		if w, ok := d.word(e, "command"); ok {
			if strings.ContainsRune(w, 0) {
				d.fail(e, "command: a word holds a NUL character")
			}
			words = append(words, w)
		}
	})
	if len(words) > 0 && words[0] == "" {
		d.fail(n, "command: its first word, the program, is empty")
	}
	return words
}

func (d *decoder) outputs(n *yaml.Node, c *Capture) {
	lines := map[string]int{}
	d.each(n, "outputs", func(e *yaml.Node) {
		var o Output
		at := e
		var ok bool
		if e.Kind != yaml.MappingNode {
			o.Path, ok = d.text(e, "output")
		} else {
			o, at, ok = d.output(e)
		}
		if !ok {
			return
		}
		if first := lines[o.Path]; first > 0 {
			d.fail(at, "the output %s stands in line %d already", o.Path, first)
		}
		lines[o.Path] = at.Line
		if d.check.Output != nil {
			if err := d.check.Output(o); err != nil {
				d.fail(at, "%v", err)
			}
		}
		c.Outputs = append(c.Outputs, o)
	})
}

func (d *decoder) output(n *yaml.Node) (o Output, path *yaml.Node, ok bool) {
	var level *yaml.Node
	before := len(d.faults)
	d.mapping(n, "an output", []key{
		{"path", func(n *yaml.Node) { path = n; o.Path, _ = d.text(n, "path") }},
		{"format", func(n *yaml.Node) { d.choice(n, "format", &o.Format, formatWords[:]...) }},
		{"compression", func(n *yaml.Node) { d.choice(n, "compression", &o.Compression, compressionWords[:]...) }},
		{"level", func(n *yaml.Node) {
			level = n
			if v, ok := d.number(n, "level", 22); ok {
				o.Level = v
			}
		}},
	}, nil)
	if path == nil && !mentions(n, "path") {
		d.fail(n, "this output has no path; add: path: FILE, FOLDER or -")
	}
	if o.Level > 0 {
		switch {
		case o.Compression == "snappy" || o.Compression == "none":
			d.fail(level, "level: %s has no levels", o.Compression)
		case o.Compression == "gzip" && o.Level > 9:
			d.fail(level, "level: %d is not within gzip's 1 to 9", o.Level)
		}
	}
	return o, path, len(d.faults) == before
}

func (d *decoder) rotate(n *yaml.Node, r *Rotate) {
	var files *yaml.Node
	before := len(d.faults)
	d.mapping(n, "rotate", []key{
		{"size", func(n *yaml.Node) { measured(d, n, "size", &r.Size, ParseSize) }},
		{"every", func(n *yaml.Node) { measured(d, n, "every", &r.Every, ParseDuration) }},
		{"on_signal", func(n *yaml.Node) { d.flag(n, "on_signal", &r.OnSignal) }},
		{"max_files", func(n *yaml.Node) {
			files = n
			if v, ok := d.number(n, "max_files", math.MaxInt32); ok {
				r.MaxFiles = v
			}
		}},
	}, nil)
	if len(d.faults) == before && n.Kind == yaml.MappingNode && r.Size == 0 && r.Every == 0 && !r.OnSignal {
		if files != nil {
			d.fail(files, "max_files counts files that rotation made, and nothing rotates; add size, every or on_signal")
			return
		}
		d.fail(n, "rotate says nothing; add size, every or on_signal, or take it away")
	}
}
