package configs

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// posError is a filter's error as the filters room makes them.
type posError struct {
	pos int
	msg string
}

func (e *posError) Error() string { return e.msg }
func (e *posError) Position() int { return e.pos }

// testCheck refuses every filter that holds BAD, at its place, and cpus that are no digits.
func testCheck() Check {
	return Check{
		Event: func(p string) error {
			if strings.Contains(p, "unknown") {
				return fmt.Errorf("unknown event %q", p)
			}
			return nil
		},
		Output: func(o Output) error {
			if strings.HasPrefix(o.Path, "/nonexistent/") {
				return fmt.Errorf("output %s: no such folder", o.Path)
			}
			return nil
		},
		Filter: func(job *Capture, e Event) error {
			f := e.Filter
			if job.KernelCompat && strings.Contains(f, "+") {
				return &posError{strings.Index(f, "+"), "the kernel has no +"}
			}
			if i := strings.Index(f, "BAD"); i >= 0 {
				return fmt.Errorf("parse: %w", &posError{i, "unexpected BAD"})
			}
			if strings.Contains(f, "NOWHERE") {
				return errors.New("wrong somewhere")
			}
			return nil
		},
		CPUs: func(l string) error {
			if strings.Trim(l, "0123456789,-") != "" {
				return fmt.Errorf("cpu list %q: no cpu", l)
			}
			return nil
		},
	}
}

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []Capture
	}{
		{"the least", "events: [sched:sched_switch]\n", []Capture{{Events: []Event{{Select: []string{"sched:sched_switch"}}}}}},
		{"one as text", "events: sched:*\n", []Capture{{Events: []Event{{Select: []string{"sched:*"}}}}}},
		{"several in one", "events: ['a:b, c:[d,e], !a:*']\n", []Capture{{Events: []Event{{Select: []string{"a:b", "c:[d,e]", "!a:*"}}}}}},
		{"everything", `
name: all-keys
events:
  - irq:irq_handler_entry
  - event: 'sched:*'
    filter: irq==18 || irq==19
  - event: [a:b, 'c:*']
exclude: ['sched:sched_stat_*']
target:
  pids: [1, 2]
  tids: 3
  user: 1000
  cpus: 0,2-4
  command: [sleep, 1, '']
  inherit: false
outputs:
  - traces
  - {path: x.parquet, format: parquet, compression: zstd, level: 22}
  - path: '-'
rotate: {size: 64M, every: 1h, max_files: 3, on_signal: true}
max_size: 2GiB
max_rate: 50k
max_cpu: 12.5%
over: events
duration: 10s
delay: 250ms
ring: 8MiB
period: 10
on_fault: pass
tier: bpf
kernel_compat: true
trace_self: true
fail_on_loss: true
threads: 3
decode: true
types: portable
`, []Capture{{
			Name: "all-keys",
			Events: []Event{
				{Select: []string{"irq:irq_handler_entry"}},
				{Select: []string{"sched:*"}, Filter: "irq==18 || irq==19"},
				{Select: []string{"a:b", "c:*"}},
			},
			Exclude: []string{"sched:sched_stat_*"},
			Target:  Target{PIDs: []int{1, 2}, TIDs: []int{3}, User: "1000", CPUs: "0,2-4", Command: []string{"sleep", "1", ""}, NoInherit: true},
			Outputs: []Output{{Path: "traces"}, {Path: "x.parquet", Format: "parquet", Compression: "zstd", Level: 22}, {Path: "-"}},
			Rotate:  Rotate{Size: 64 << 20, Every: time.Hour, MaxFiles: 3, OnSignal: true},
			MaxSize: 2 << 30, MaxRate: 50_000, MaxCPU: 12.5, Over: "events", Duration: 10 * time.Second, Delay: 250 * time.Millisecond, RingBytes: 8 << 20, Period: 10,
			OnFault: "pass", Tier: "bpf", KernelCompat: true, TraceSelf: true, FailOnLoss: true, Threads: 3, Decode: true, Types: "portable",
		}}},
		{"flight recorder", `
events: a:b
overwrite: true
trigger: " irq == 18 "
before: 2s
after: 1500ms
`, []Capture{{
			Events:    []Event{{Select: []string{"a:b"}}},
			Overwrite: true, Trigger: "irq == 18", Before: 2 * time.Second, After: 1500 * time.Millisecond,
		}}},
		{"probes", `
events:
  - 'uprobe:/bin/bash:readline, sched:sched_switch'
  - event: 'uprobe:libc.so.6:open*(arg0:string, arg1:s32),usdt:postgres:query__start(arg0:string)'
    filter: arg0 ~ "/etc/*"
  - {event: [main, 'main%return(ret:s32)', '"f(int, char)"'], binary: ./a b}
  - lifecycle
target: {pids: 7, tree: true, comm: 'the name of a ba*'}
engine: ftrace
ret_mode: sites
unsafe_uretprobe: true
cgroup_ids: true
stacks: {mode: dwarf, kernel: false, inline: true, size: 16K}
`, []Capture{{
			Events: []Event{
				{Select: []string{"uprobe:/bin/bash:readline", "sched:sched_switch"}},
				{Select: []string{"uprobe:libc.so.6:open*(arg0:string, arg1:s32)", "usdt:postgres:query__start(arg0:string)"}, Filter: `arg0 ~ "/etc/*"`},
				{Select: []string{"main", "main%return(ret:s32)", `"f(int, char)"`}, Binary: "./a b"},
				{Select: []string{"lifecycle"}},
			},
			Target: Target{PIDs: []int{7}, Tree: true, Comm: "the name of a ba*"},
			Engine: "ftrace", RetMode: "sites", UnsafeUretprobe: true, CgroupIDs: true, Stacks: Stacks{Mode: "dwarf", User: true, Inline: true, Size: 16 << 10},
		}}},
		{"a cgroup, by name and every one", "jobs:\n- {name: a, events: a:b, target: {cgroup: /user.slice, comm: bash}}\n- {name: b, events: a:b, target: {all: true, comm: bash}}", []Capture{
			{Name: "a", Events: []Event{{Select: []string{"a:b"}}}, Target: Target{Cgroup: "/user.slice", Comm: "bash"}},
			{Name: "b", Events: []Event{{Select: []string{"a:b"}}}, Target: Target{All: true, Comm: "bash"}},
		}},
		{"stacks in a word", "events: a:b\nstacks: fp", []Capture{{Events: []Event{{Select: []string{"a:b"}}}, Stacks: Stacks{Mode: "fp", Kernel: true, User: true}}}},
		{"no stacks", "events: a:b\nstacks: none", []Capture{{Events: []Event{{Select: []string{"a:b"}}}}}},
		{"no stacks, in full", "events: a:b\nstacks: {mode: none, user: false}", []Capture{{Events: []Event{{Select: []string{"a:b"}}}}}},
		{"jobs", "jobs:\n- {name: a, events: a:b}\n- {name: b, events: a:b, target: {all: true, command: sleep 1}}\n", []Capture{
			{Name: "a", Events: []Event{{Select: []string{"a:b"}}}},
			{Name: "b", Events: []Event{{Select: []string{"a:b"}}}, Target: Target{All: true, Command: []string{"/bin/sh", "-c", "sleep 1"}}},
		}},
		{"one unnamed job in a list", "jobs: [{events: a:b}]\n", []Capture{{Events: []Event{{Select: []string{"a:b"}}}}}},
		{"words stay text", "events: a:b\ntarget: {command: [echo, 010, yes, 0x10, 1.50, ~x]}\n", []Capture{{
			Events: []Event{{Select: []string{"a:b"}}}, Target: Target{Command: []string{"echo", "010", "yes", "0x10", "1.50", "~x"}},
		}}},
		{"block filter", "events:\n- event: a:b\n  filter: |\n    x == 1 &&\n      y == 2\n", []Capture{{
			Events: []Event{{Select: []string{"a:b"}, Filter: "x == 1 &&\n  y == 2"}},
		}}},
		{"a name's glob is as long as it likes", "events: a:b\ntarget: {all: true, comm: 'worker-[0-9]*-of-*'}", []Capture{{
			Events: []Event{{Select: []string{"a:b"}}}, Target: Target{All: true, Comm: "worker-[0-9]*-of-*"},
		}}},
		{"short words of probes", "events: 'u:a:f(x, \"y z\")'", []Capture{{Events: []Event{{Select: []string{"u:a:f(x, \"y z\")"}}}}}},
		{"commas in a filter", "events: [{event: a:b, filter: 'x in {1,2}'}]", []Capture{{
			Events: []Event{{Select: []string{"a:b"}, Filter: "x in {1,2}"}},
		}}},
		{"cpus as list", "events: a:b\ntarget: {cpus: [0, 2-4]}", []Capture{{Events: []Event{{Select: []string{"a:b"}}}, Target: Target{CPUs: "0,2-4"}}}},
		{"byte order mark, CRLF, end marker", "\ufeff---\r\nevents: a:b\r\n...\r\n", []Capture{{Events: []Event{{Select: []string{"a:b"}}}}}},
		{"pages", "events: a:b\nring: 16 pages", []Capture{{Events: []Event{{Select: []string{"a:b"}}}, RingBytes: 16 * os.Getpagesize()}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load("job.yaml", []byte(tt.in), testCheck())
			if err != nil {
				t.Fatalf("Load: %v", err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v\nwant %+v", got, tt.want)
			}
			b, err := Marshal(got)
			if err != nil {
				t.Fatalf("Marshal: %v", err)
			}
			again, err := Load("again.yaml", b, testCheck())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("after Marshal got %+v, %v\nwant %+v, from\n%s", again, err, got, b)
			}
		})
	}
}

// TestFaults: each line of want is a whole fault.
func TestFaults(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", `job.yaml:1:1: the file is empty; the least is: {events: ["sched:*"], duration: 10s}`},
		{"only a comment", "# nothing\n\n", `job.yaml:1:1: the file is empty; the least is: {events: ["sched:*"], duration: 10s}`},
		{"only a marker", "---\n", `job.yaml:2:1: the file is empty; the least is: {events: ["sched:*"], duration: 10s}`},
		{"unknown key, near", "evnets: [a:b]\nevents: a:b", `job.yaml:1:1: unknown key "evnets"; did you mean "events"?`},
		{"the one key that is needed, misspelt", "evnets: [a:b]", `job.yaml:1:1: unknown key "evnets"; did you mean "events"?`},
		{"an entry without an event", "events: [{filter: x}]", `job.yaml:1:10: this entry of events names no event; add: event: 'system:name'`},
		{"unknown key, far", "events: [{event: a:b, colour: red}]", `job.yaml:1:23: unknown key "colour"; an entry of events has event, filter, binary`},
		{"all at once", "name: 'a b'\nevents:\n  - schedswitch\n  - {evnt: a:b}\nduration: 10\ntarget:\n  pids: [0, x]\nring: 64\n", `
job.yaml:1:7: the name "a b" must be letters, digits and . _ -, at most 64, the first a letter or digit
job.yaml:3:5: event: "schedswitch" has no system; events are named system:name, such as sched:sched_switch or 'irq:*'
job.yaml:4:6: unknown key "evnt"; did you mean "event"?
job.yaml:5:11: duration: the time 10 has no unit: write 10s, 10ms or 10m (minutes)
job.yaml:7:10: pids: 0 is not within 1 to 2147483647
job.yaml:7:13: pids: "x" is no whole number
job.yaml:8:7: ring: the ring 64 has no unit: write 64 pages, or a size such as 8M`},
		{"duplicate key", "events: a:b\nname: x\nevents: c:d", `job.yaml:3:1: the key "events" stands here a second time; the first is in line 1`},
		{"second document", "events: a:b\n---\nevents: c:d", `job.yaml:2:1: a second YAML document begins here; several jobs stand in one document, below 'jobs:'`},
		{"no events", "name: x", `job.yaml:1:1: the job has no events; add: events: ["sched:*"]`},
		{"events empty", "events: []", `job.yaml:1:9: events is an empty list: fill it, or take the key away`},
		{"events null", "events:\nname: x", `job.yaml:1:8: events has no value: give it one, or take the key away`},
		{"filter null", "events: [{event: a:b, filter: ~}]", `job.yaml:1:31: filter has no value: give it one, or take the key away`},
		{"only taken away", "events: ['!a:b']", `job.yaml:1:9: every event is taken away and none is named`},
		{"a list at the top", "- a:b", `job.yaml:1:1: the file must be a mapping of keys, not a list`},
		{"text at the top", "hello", `job.yaml:1:1: the file must be a mapping of keys, not "hello"`},
		{"octal trap", "events: a:b\nperiod: 010\nduration: 010\nmax_size: 010M\ndelay: 010s", `
job.yaml:2:9: period: 010 begins with 0, which some read as octal: write 10
job.yaml:3:11: duration: the time 010 has no unit: write 10s, 10ms or 10m (minutes)
job.yaml:4:11: max_size: "010M" is no size: 010 begins with 0, which some read as octal: write 10; sizes look like 512K, 64M or 2G
job.yaml:5:8: delay: "010s" begins with 0, which some read as octal: write 10s`},
		{"hex and underscores", "events: a:b\nperiod: 0x10\nrotate: {every: 1h, max_files: 1_0}", `
job.yaml:2:9: period: "0x10" is no whole number
job.yaml:3:32: max_files: "1_0" is no whole number`},
		{"budgets", "events: a:b\nmax_rate: 1.5M\nmax_cpu: 010\nover: event", `
job.yaml:2:11: max_rate: "1.5M" is no number of rows a second: "1.5" is no whole number; rates look like 50000, 50k or 2M
job.yaml:3:10: max_cpu: "010" is no part of a processor: 010 begins with 0, which some read as octal: write 10
job.yaml:4:7: over must be one of sample, threads, events, not "event"; did you mean "events"?`},
		{"trigger of what", "events: a:b\ntrigger: a == 1", `job.yaml:2:10: trigger asks for dumps of a flight recorder: it needs overwrite`},
		{"before what", "events: a:b\nbefore: 1s", `job.yaml:2:9: before says how far back dumps of a flight recorder go: it needs overwrite`},
		{"after what", "events: a:b\noverwrite: true\nafter: 1s", `job.yaml:3:8: after says how far dumps go on behind a trigger: it needs trigger`},
		{"overwrite and period", "events: a:b\noverwrite: true\nperiod: 2", `job.yaml:2:12: overwrite: what was overwritten could not be counted where every so many-th event is recorded; take the period away`},
		{"overwrite and time", "events: a:b\noverwrite: true\nrotate: {every: 1h}", `job.yaml:2:12: overwrite: nothing is written between dumps that files could be rotated for by time; rotate by signal, and each dump has its own`},
		{"overwrite and budgets", "events: a:b\noverwrite: true\nmax_rate: 1k", `job.yaml:2:12: overwrite: a budget of rows a second or of processor time would take a dump apart, which comes at once; the size of the rings bounds it`},
		{"over what", "events: a:b\nover: events", `job.yaml:2:7: over says what is left out beyond a budget, and there is none; add max_rate or max_cpu`},
		{"bare sizes", "events: a:b\nmax_size: 1000\nrotate: {size: 5}", `
job.yaml:2:11: max_size: the size 1000 has no unit: write 1000B, 1000K, 1000M or 1000G
job.yaml:3:16: size: the size 5 has no unit: write 5B, 5K, 5M or 5G`},
		{"yes and on", "events: a:b\ndecode: yes\ntrace_self: on\nfail_on_loss: 'true'", `
job.yaml:2:9: decode must be true or false, not "yes"
job.yaml:3:13: trace_self must be true or false, not "on"
job.yaml:4:15: fail_on_loss must be true or false, not "true"`},
		{"choices", "events: a:b\ntypes: portabel\non_fault: explode\noutputs: [{path: x, format: parket}]", `
job.yaml:2:8: types must be one of kernel, portable, not "portabel"; did you mean "portable"?
job.yaml:3:11: on_fault must be one of drop, pass, not "explode"
job.yaml:4:29: format must be one of parquet, arrow, arrows, csv, ndjson, txt, not "parket"; did you mean "parquet"?`},
		{"outputs", "events: a:b\noutputs:\n- x\n- {path: x}\n- {format: csv}\n- ''\n- {path: y, compression: gzip, level: 12}\n- {path: z, compression: none, level: 3}", `
job.yaml:4:10: the output x stands in line 3 already
job.yaml:5:3: this output has no path; add: path: FILE, FOLDER or -
job.yaml:6:3: output is empty
job.yaml:7:39: level: 12 is not within gzip's 1 to 9
job.yaml:8:39: level: none has no levels`},
		{"all with pids", "events: a:b\ntarget: {pids: [1], all: true}", `job.yaml:2:26: all records every task: it cannot be joined with pids, tids, user or cgroup`},
		{"cpus", "events: a:b\ntarget: {cpus: many}", `job.yaml:2:16: cpus: cpu list "many": no cpu`},
		{"rotate", "events: a:b\nrotate: {max_files: 3}", `job.yaml:2:21: max_files counts files that rotation made, and nothing rotates; add size, every or on_signal`},
		{"rotate empty", "events: a:b\nrotate: {}", `job.yaml:2:9: rotate says nothing; add size, every or on_signal, or take it away`},
		{"alias", "events: &e [a:b]\nexclude: *e", `
job.yaml:1:9: &e is an anchor to YAML, and job files have none; quote the value
job.yaml:2:10: *e is an alias to YAML, and job files have none; where it is a glob, quote it: '*e'`},
		{"glob as alias", "events: a:b\nexclude: [*:b]", `job.yaml:2: this is no YAML: did not find expected alphabetic or numeric character; a value that begins with * or & needs quotes, as in '*:sys_enter'`},
		{"unknown alias", "events: a:b\nexclude: [*x]", `job.yaml:2:11: *x is an alias to YAML, and job files have none; where it is a glob, quote it: '*x'`},
		{"merge key", "typs: &a {}\nevents: a:b\n<<: *a", `
job.yaml:1:1: unknown key "typs"; did you mean "types"?
job.yaml:3:1: << merges an alias, and job files have none; write the keys out`},
		{"tag of a taken event", "events:\n- a:b\n- !a:c", `job.yaml:3:3: !a:c is a tag to YAML, and job files have none; where it begins a filter or takes an event away, quote the whole value`},
		{"tag of a filter", "events:\n- event: a:b\n  filter: !flag == 1", `job.yaml:3:11: !flag is a tag to YAML, and job files have none; where it begins a filter or takes an event away, quote the whole value`},
		{"jobs and keys", "jobs: [{events: a:b}]\nduration: 1s\nwhat: 1", `
job.yaml:2:1: "duration" stands beside "jobs": a file is either one job or a list of jobs; move it into each job
job.yaml:3:1: unknown key "what"; a job file has jobs`},
		{"job names", "jobs:\n- {name: a, events: a:b}\n- {name: a, events: a:b}\n- {events: a:b}", `
job.yaml:3:10: the name "a" is taken by the job at line 2
job.yaml:4:3: this job has no name; where a file has several, each needs one`},
		{"no jobs", "jobs: []", `job.yaml:1:7: the list of jobs is empty; the least is: {events: ["sched:*"], duration: 10s}`},
		{"jobs no list", "jobs: {events: a:b}", `job.yaml:1:7: jobs must be a list, not a mapping of keys`},
		{"job no mapping", "jobs: [a:b]", `job.yaml:1:8: a job must be a mapping of keys, not "a:b"`},
		{"filter as number", "events: [{event: a:b, filter: 1}]", `job.yaml:1:31: filter must be text: where "1" is meant, quote it`},
		{"filter, plain", "events:\n- event: a:b\n  filter: x == BAD", `job.yaml:3:16: parse: unexpected BAD`},
		{"filter, quoted", "events:\n- event: a:b\n  filter: 'comm == ''b'' && BAD'", `job.yaml:3:29: parse: unexpected BAD`},
		{"filter, literal", "events:\n- event: a:b\n  filter: |  # x == 1 && y == BAD\n\n    x == 1 &&\n      y == BAD ||\n    z\n", `job.yaml:6:12: parse: unexpected BAD`},
		{"filter, folded", "events:\n- event: a:b\n  filter: >-\n    x == 1 &&\n    y == BAD\n", `job.yaml:5:10: parse: unexpected BAD`},
		{"filter, plain over lines", "events:\n- event: a:b\n  filter: x == 1 &&\n    BAD\n", `job.yaml:4:5: parse: unexpected BAD`},
		{"filter, double quotes", "events: [{event: a:b, filter: \"comm == \\\"x\\\" && BAD\"}]", `job.yaml:1:49: parse: unexpected BAD`},
		{"filter, wide characters", "events: [{event: a:b, filter: 'x == \"Grüße\" && BAD'}]", `job.yaml:1:48: parse: unexpected BAD`},
		{"filter, a letter twice", "events: [{event: a:b, filter: BBAD}]", `job.yaml:1:32: parse: unexpected BAD`},
		{"filter, nowhere", "events: [{event: a:b, filter: NOWHERE}]", `job.yaml:1:31: wrong somewhere`},
		{"filter, of a job that says more below", "events: [{event: a:b, filter: ' x + 1'}]\nkernel_compat: true", `job.yaml:1:35: the kernel has no +`},
		{"what the machine lacks", "events:\n- a:unknown\n- {event: [b:c, 'd:unknown'], filter: BAD}\noutputs: [/nonexistent/x, {path: /nonexistent/y}]\nexclude: ['e:unknown']", `
job.yaml:2:3: unknown event "a:unknown"
job.yaml:3:17: unknown event "d:unknown"
job.yaml:3:39: parse: unexpected BAD
job.yaml:4:11: output /nonexistent/x: no such folder
job.yaml:4:34: output /nonexistent/y: no such folder
job.yaml:5:11: unknown event "e:unknown"`},
		{"in the order of columns", "{events: [{event: a:b, filter: BAD}], nmae: x, durtion: 1s}", `
job.yaml:1:32: parse: unexpected BAD
job.yaml:1:39: unknown key "nmae"; did you mean "name"?
job.yaml:1:48: unknown key "durtion"; did you mean "duration"?`},
		{"half names", "events: ['a:', ':b', 'a:b,,c:d', 'a:[b', 'a:b c:d']", `
job.yaml:1:10: event: "a:" is half a name; events are named system:name
job.yaml:1:16: event: ":b" is half a name; events are named system:name
job.yaml:1:22: event: a name is missing beside a comma
job.yaml:1:34: event: "a:[b" has a bracket that does not close
job.yaml:1:42: event: "a:b c:d" holds a blank; each event is an entry of its own`},
		{"probes", "events: ['uprobe:', 'uprobe:a:f(x', 'usdt:a:\"p', {event: 'uprobe:a:b', binary: c}, {event: 'unknown%return', binary: c}, lifecycles]", `
job.yaml:1:10: event: "uprobe:" names no function; a probe looks like uprobe:/bin/bash:readline
job.yaml:1:21: event: "uprobe:a:f(x" has a parenthesis that does not close
job.yaml:1:37: event: "usdt:a:\"p" has a quote that does not close
job.yaml:1:58: event: "uprobe:a:b" stands beside a binary, whose functions are named alone: readline, 'readline%return', 'read*'
job.yaml:1:92: unknown event "uretprobe:c:unknown"
job.yaml:1:122: event: "lifecycles" has no system; events are named system:name, such as sched:sched_switch or 'irq:*'`},
		{"stacks", "jobs:\n- {name: a, events: a:b, stacks: lbr}\n- {name: b, events: a:b, stacks: {mode: none, inline: true}}\n- {name: c, events: a:b, stacks: {size: 8K}}\n- {name: d, events: a:b, stacks: {mode: dwarf, size: 1001B}}\n- {name: e, events: a:b, stacks: {mode: dwarf, size: 64K}}\n- {name: f, events: a:b, stacks: {kernel: false, user: false}}\n- {name: g, events: a:b, stacks: {mode: dwarf, user: false}}\n", `
job.yaml:2:34: stacks must be one of fp, dwarf, none, not "lbr"
job.yaml:3:55: inline shows stacks, and the mode none takes none
job.yaml:4:41: size is that of the stack which mode: dwarf copies; take it away
job.yaml:5:54: size: the kernel copies a multiple of 8 bytes, at most 65528
job.yaml:6:54: size: the kernel copies a multiple of 8 bytes, at most 65528
job.yaml:7:34: stacks of neither the kernel nor the process are none; write stacks: none
job.yaml:8:34: mode: dwarf is a way to take the process's stack; for the kernel's alone write mode: fp`},
		{"targets", "jobs:\n- {name: a, events: a:b, target: {tree: true}}\n- {name: b, events: a:b, target: {tree: true, pids: 1, inherit: false}}\n- {name: c, events: a:b, target: {comm: 0123456789abcdef}}\n- {name: d, events: a:b, target: {cgroup: '', all: true, user: x}}\n- {name: e, events: a:b, ret_mode: site, unsafe_uretprobe: yes}\n- {name: f, events: a:b, engine: ebpf}\n- {name: g, events: a:b, tier: bp}", `
job.yaml:2:41: tree needs a process to begin with; add pids, user or command
job.yaml:3:41: tree takes the processes that the targets start, and inherit: false leaves them out
job.yaml:4:41: comm: "0123456789abcdef" has 16 bytes, and the kernel keeps at most 15 of a task's name
job.yaml:5:43: cgroup is empty
job.yaml:5:52: all records every task: it cannot be joined with pids, tids, user or cgroup
job.yaml:6:36: ret_mode must be one of auto, sites, trampoline, not "site"; did you mean "sites"?
job.yaml:6:60: unsafe_uretprobe must be true or false, not "yes"
job.yaml:7:34: engine must be one of auto, perf, ftrace, bpf, not "ebpf"; did you mean "bpf"?
job.yaml:8:32: tier must be one of auto, kernel, bpf, process, not "bp"; did you mean "bpf"?`},
		{"a cgroup beside processes", "events: a:b\ntarget: {pids: 7, cgroup: /user.slice}", `job.yaml:2:27: cgroup records every task of the cgroup: it cannot be joined with pids, tids or user`},
		{"not UTF-8", "events: a:b\nname: x\xff", `job.yaml:2:8: byte 0xff is no text: the file must be UTF-8 without control characters`},
		{"a control character", "events: a:b\x01", `job.yaml:1:12: byte 0x01 is no text: the file must be UTF-8 without control characters`},
		{"units", "events: a:b\nduration: 5 minutes\nmax_size: 5X\ndelay: -1s\nring: 5G", `
job.yaml:2:11: duration: "5 minutes" is no time; times look like 10s, 250ms, 1h30m or 7d
job.yaml:3:11: max_size: "5X" is no size: "5X" is no whole number; sizes look like 512K, 64M or 2G
job.yaml:4:8: delay: "-1s" is no time; times look like 10s, 250ms, 1h30m or 7d
job.yaml:5:7: ring: a ring of 5G for each processor: at most 1G is possible`},
		{"syntax: tab", "events:\n\t- a:b", `job.yaml:2: this is no YAML: found character that cannot start any token`},
		{"syntax: first line", "events: [a:b", `job.yaml:1: this is no YAML: did not find expected ',' or ']'; a value that begins with a quote, a bracket or one of & * ! % @ needs quotes around the whole of it`},
		{"syntax: later line", "name: x\nevents:\n  - a:b\n - c:d\n", `job.yaml:4: this is no YAML: did not find expected key; a value that begins with a quote, a bracket or one of & * ! % @ needs quotes around the whole of it`},
		{"syntax: colon", "name: x\nevents: a: b", `job.yaml:2: this is no YAML: mapping values are not allowed in this context; a value that holds ': ' needs quotes, and keys of one job the same indentation`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load("job.yaml", []byte(tt.in), testCheck())
			if err == nil {
				t.Fatalf("got %+v, want faults", got)
			}
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got a %T, want Faults", err)
			}
			if want := strings.TrimPrefix(tt.want, "\n"); err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}

// A probe is looked for once the whole job is known, as its binary is the target's.
func TestProbesAreCheckedWithTheTarget(t *testing.T) {
	check := Check{Probe: func(job *Capture, e Event) error {
		if len(e.Select) != 1 || len(job.Target.PIDs) != 1 {
			return fmt.Errorf("got %v of a job with the processes %v", e.Select, job.Target.PIDs)
		}
		if strings.Contains(e.Select[0], "bad") {
			return fmt.Errorf("no %s in %s of %d", e.Select[0], e.Binary, job.Target.PIDs[0])
		}
		return nil
	}}
	text := "events:\n- a:b\n- 'uprobe:x:good,uprobe:x:bad'\n- {event: [good, 'bad%return'], binary: y}\n- '!uprobe:x:bad'\ntarget: {pids: [7]}"
	_, err := Load("job.yaml", []byte(text), check)
	want := "job.yaml:3:3: no uprobe:x:bad in  of 7\njob.yaml:4:18: no bad%return in y of 7"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
