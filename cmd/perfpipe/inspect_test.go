package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// fakeRoot is a small machine where everything is in order, for root.
func fakeRoot() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o444} }
	return fstest.MapFS{
		"proc/sys/kernel/osrelease":           file("6.1.0-18-amd64\n"),
		"proc/sys/kernel/perf_event_paranoid": file("3\n"),
		"proc/sys/kernel/perf_event_mlock_kb": file("516\n"),
		"proc/self/status":                    file("Name:\tperfpipe\nNSpid:\t4711\nCapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"),
		"proc/self/limits":                    file("Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         8388608              unlimited            bytes     \nMax open files            1024                 1048576              files     \n"),
		"proc/self/uid_map":                   file("         0          0 4294967295\n"),
		"proc/self/mountinfo":                 file("30 24 0:12 / /sys/kernel/tracing rw - tracefs tracefs rw\n31 24 0:13 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
		"proc/1/cgroup":                       file("0::/init.scope\n"),
		"sys/devices/system/cpu/online":       file("0-7\n"),
		"sys/devices/system/clocksource/clocksource0/current_clocksource": file("tsc\n"),
		"sys/kernel/security/lockdown":                                    file("[none] integrity confidentiality\n"),
		"sys/kernel/tracing":                                              {Mode: fs.ModeDir | 0o700},
		"sys/kernel/tracing/available_events":                             file("irq:irq_handler_entry\nsched:sched_switch\n"),
		"sys/bus/event_source/devices/software":                           {Mode: fs.ModeDir | 0o755},
		"sys/bus/event_source/devices/tracepoint":                         {Mode: fs.ModeDir | 0o755},
		"sys/kernel/btf/vmlinux":                                          file("BTF"),
		"sys/kernel/tracing/uprobe_events":                                {Mode: 0o640},
		"proc/sys/kernel/perf_event_max_stack":                            file("127\n"),
		"proc/sys/kernel/kptr_restrict":                                   file("1\n"),
		"proc/sys/kernel/yama/ptrace_scope":                               file("1\n"),
		"proc/kallsyms":                                                   file("0000000000000000 A fixed_percpu_data\nffffffff81000000 T _stext\n"),
	}
}

// refusing is a root whose files below some names may not be looked at.
type refusing struct {
	fs.FS
	below []string
}

func (r refusing) Open(name string) (fs.File, error) {
	for _, b := range r.below {
		if strings.HasPrefix(name, b) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
		}
	}
	return r.FS.Open(name)
}

func TestInspectFiles(t *testing.T) {
	const (
		nobody  = "CapEff:\t0000000000000000\n"
		granted = "CapEff:\t000000c000004004\n" // PERFMON BPF IPC_LOCK DAC_READ_SEARCH
	)
	for _, tt := range []struct {
		name   string
		uid    int
		set    map[string]string // "" takes the file away
		refuse []string
		// want maps names to "state: text of the value" and, behind " fix: ", of the fix.
		want   map[string]string
		status int
	}{
		{name: "root", want: map[string]string{
			"kernel": "ok: 6.1.0-18", "cpus": "ok: 8 online (0-7)", "clock source": "ok: tsc", "container": "ok: none seen",
			"capabilities": "ok: CAP_PERFMON CAP_SYS_ADMIN CAP_BPF", "paranoid level": "ok: 3, which does not bind", "lockdown": "ok: none",
			"tracefs": "ok: /sys/kernel/tracing, mode 0700, 2 events", "pmus": "ok: software tracepoint",
			"open files": "ok: 1024 (hard 1048576): about 131068 events on 8 processors", "ring memory": "ok: not limited", "btf": "ok: /sys/kernel/btf/vmlinux",
			"user probes": "ok: /sys/kernel/tracing/uprobe_events", "ptrace": "ok: ptrace_scope 1, which does not bind", "call chains": "ok: 127 frames",
			"kernel names": "ok: shows addresses", "cgroups": "ok: v2 at /sys/fs/cgroup",
		}},
		{name: "no uprobes", set: map[string]string{"sys/kernel/tracing/uprobe_events": ""}, want: map[string]string{"user probes": "warn: cannot be probed fix: CONFIG_UPROBE_EVENTS"}},
		{name: "uprobes of root alone", uid: 1000, set: map[string]string{"proc/self/status": granted}, want: map[string]string{"user probes": "warn: user id 1000 may not write it fix: cap_dac_override"}},
		{name: "uprobes unknown", refuse: []string{"sys/kernel/tracing/"}, status: exitPermission, want: map[string]string{"user probes": "note: not known"}},
		{name: "no yama, short chains", set: map[string]string{"proc/sys/kernel/yama/ptrace_scope": "", "proc/sys/kernel/perf_event_max_stack": "8\n"}, want: map[string]string{"call chains": "warn: 8 frames at most fix: perf_event_max_stack=127"}},
		{name: "unknown chains", set: map[string]string{"proc/sys/kernel/perf_event_max_stack": ""}, want: map[string]string{"call chains": "note: not known"}},
		{name: "hidden addresses", set: map[string]string{"proc/kallsyms": "0000000000000000 A fixed_percpu_data\n0000000000000000 T _stext\n", "proc/sys/kernel/kptr_restrict": "2\n"}, want: map[string]string{"kernel names": "warn: kptr_restrict 2 fix: kptr_restrict=1"}},
		{name: "addresses for root", uid: 1000, set: map[string]string{"proc/kallsyms": "0000000000000000 T _stext\n"}, want: map[string]string{"kernel names": "warn: kptr_restrict 1 fix: CAP_SYSLOG"}},
		{name: "no kallsyms", set: map[string]string{"proc/kallsyms": ""}, want: map[string]string{"kernel names": "warn: cannot be read fix: CONFIG_KALLSYMS"}},
		{name: "cgroup v1", set: map[string]string{"proc/self/mountinfo": "31 24 0:13 / /sys/fs/cgroup/perf rw - cgroup cgroup rw,perf_event\n"}, want: map[string]string{"cgroups": "note: v1 at /sys/fs/cgroup/perf fix: unified"}},
		{name: "no cgroups", set: map[string]string{"proc/self/mountinfo": "1 1 0:1 / / rw - ext4 x rw\n"}, want: map[string]string{"cgroups": "note: none is mounted fix: mount -t cgroup2"}},
		{name: "nobody", uid: 65534, set: map[string]string{"proc/self/status": nobody}, refuse: []string{"sys/kernel/tracing/"}, status: exitPermission, want: map[string]string{
			"capabilities": "warn: none of use, user id 65534 fix: sudo setcap cap_perfmon", "paranoid level": "warn: 3: tracepoints need CAP_PERFMON fix: root",
			"tracefs": "denied: mode 0700: user id 65534 may not read it fix: cap_dac_read_search", "ring memory": "warn: 516 KiB a processor fix: -m 512K",
		}},
		{name: "nobody, debugfs alone", uid: 65534, set: map[string]string{"proc/self/status": nobody, "sys/kernel/tracing": "", "sys/kernel/tracing/available_events": "", "proc/self/mountinfo": "30 24 0:12 / /sys/kernel/debug/tracing rw - tracefs tracefs rw\n"},
			refuse: []string{"sys/kernel/debug"}, status: exitPermission, want: map[string]string{"tracefs": "denied: /sys/kernel/debug/tracing may not be looked at"}},
		{name: "everybody may", uid: 1000, set: map[string]string{"proc/self/status": nobody, "proc/sys/kernel/perf_event_paranoid": "-1\n"}, want: map[string]string{
			"paranoid level": "ok: -1: everybody may record", "ring memory": "ok: not limited", "tracefs": "ok: 2 events",
		}},
		{name: "capabilities on the file", uid: 1000, set: map[string]string{"proc/self/status": granted}, want: map[string]string{
			"capabilities": "ok: CAP_PERFMON CAP_BPF CAP_DAC_READ_SEARCH CAP_IPC_LOCK", "paranoid level": "ok: 3", "ring memory": "ok: not limited",
		}},
		{name: "not mounted, root", set: map[string]string{"sys/kernel/tracing": "", "sys/kernel/tracing/available_events": "", "proc/self/mountinfo": "1 1 0:1 / / rw - ext4 x rw\n"}, want: map[string]string{
			"tracefs": "note: record mounts it by itself fix: mount -t tracefs nodev /sys/kernel/tracing",
		}},
		{name: "not mounted, nobody", uid: 65534, set: map[string]string{"proc/self/status": nobody, "sys/kernel/tracing": "", "sys/kernel/tracing/available_events": "", "proc/self/mountinfo": "1 1 0:1 / / rw - ext4 x rw\n"},
			refuse: []string{"sys/kernel/debug"}, status: exitRuntime, want: map[string]string{"tracefs": "missing: not mounted fix: sudo mount -t tracefs"}},
		{name: "locked down", set: map[string]string{"sys/kernel/security/lockdown": "none integrity [confidentiality]\n"}, want: map[string]string{"lockdown": "warn: confidentiality fix: lockdown=integrity"}},
		{name: "no lockdown file", set: map[string]string{"sys/kernel/security/lockdown": ""}, want: map[string]string{"lockdown": "ok: not in this kernel"}},
		{name: "container", set: map[string]string{".dockerenv": " ", "proc/1/cgroup": "0::/docker/abc\n", "proc/self/status": "CapEff:\t000001ffffffffff\nNSpid:\t4711\t7\nSeccomp:\t2\n"}, want: map[string]string{
			"container": "note: /.dockerenv, cgroup docker, a pid namespace of its own", "seccomp": "note: perf_event_open",
		}},
		{name: "user namespace", set: map[string]string{"proc/self/uid_map": "0 100000 65536\n"}, want: map[string]string{
			"container": "warn: a user namespace of its own fix: outside of it", "paranoid level": "warn: 3: tracepoints need", "ring memory": "warn: 516 KiB",
		}},
		{name: "few files", set: map[string]string{"proc/self/limits": "Max open files            64                   64                  files     \nMax locked memory         unlimited            unlimited            bytes\n"}, want: map[string]string{
			"open files": "warn: 64 (hard 64): about 4 events fix: ulimit -Hn 1056",
		}},
		{name: "unlimited files", set: map[string]string{"proc/self/limits": "Max open files            unlimited                   unlimited                  files     \n"}, want: map[string]string{
			"open files": "ok: unlimited (hard unlimited)", "ring memory": "note: cannot be read",
		}},
		{name: "slow clock", set: map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"}, want: map[string]string{"clock source": "warn: hpet fix: dmesg"}},
		{name: "old kernel", set: map[string]string{"proc/sys/kernel/osrelease": "5.4.0\n"}, want: map[string]string{"kernel": "warn: 5.4.0 fix: CAP_SYS_ADMIN"}},
		{name: "no tracepoints", set: map[string]string{"sys/bus/event_source/devices/tracepoint": ""}, status: exitRuntime, want: map[string]string{"pmus": "missing: software: tracepoint is not among them fix: CONFIG_EVENT_TRACING"}},
		{name: "no perf", set: map[string]string{"proc/sys/kernel/perf_event_paranoid": ""}, want: map[string]string{"paranoid level": "warn: there is no fix: CONFIG_PERF_EVENTS"}},
		{name: "no btf", set: map[string]string{"sys/kernel/btf/vmlinux": ""}, want: map[string]string{"btf": "note: none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fakeRoot()
			for name, text := range tt.set {
				delete(root, name)
				if text != "" {
					root[name] = &fstest.MapFile{Data: []byte(text)}
				}
			}
			got := inspectFiles(refusing{root, tt.refuse}, tt.uid)
			byName := map[string]finding{}
			for _, f := range got {
				byName[f.Name] = f
			}
			for name, want := range tt.want {
				f, ok := byName[name]
				s, rest, _ := strings.Cut(want, ": ")
				value, fix, _ := strings.Cut(rest, " fix: ")
				if !ok || string(f.State) != s || !strings.Contains(f.Value, value) || !strings.Contains(f.Fix, fix) || f.Fix != "" && fix == "" && s == "ok" {
					t.Errorf("%s: got %+v, want %s", name, f, want)
				}
			}
			if v := doctorStatus(got); v != tt.status {
				t.Errorf("verdict: got %d, want %d", v, tt.status)
			}
		})
	}
}

// TestLeftBehind: what killed recordings left is a note that says who mends it.
func TestLeftBehind(t *testing.T) {
	for _, tt := range []struct {
		name   string
		groups []string
		err    error
		want   finding
	}{
		{"nothing", nil, nil, finding{"left behind", stateOK, "no probes of recordings that were killed", ""}},
		{"two", []string{"pp_1_2_3_ab", "pp_4_5_6_cd"}, nil, finding{"left behind", stateNote, "probes of 2 recordings that were killed (pp_1_2_3_ab, pp_4_5_6_cd); nothing fires", "the next record with a probe removes them"}},
		{"many", []string{"a", "b", "c", "d"}, nil, finding{"left behind", stateNote, "probes of 4 recordings that were killed (a, b, c and 1 more); nothing fires", "the next record with a probe removes them"}},
		{"unknown", nil, fs.ErrPermission, finding{"left behind", stateNote, "not known: permission denied", ""}},
	} {
		if got := leftBehind(tt.groups, tt.err); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestReports(t *testing.T) {
	r := report{Status: exitPermission, Findings: []finding{{"cpus", stateOK, "2", ""}, {"tracefs", stateDenied, "closed <&>", "open it"}, {"perf", stateMissing, "x", "open it"}}}
	var b bytes.Buffer
	if err := writeReport(&b, r); err != nil {
		t.Fatal(err)
	}
	const want = "ok      cpus              2\ndenied  tracefs           closed <&>\n                          fix: open it\nmissing perf              x\n                          fix: that of tracefs\nperfpipe record cannot work here: see tracefs, perf\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	if err := writeReportJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Works || back.Status != 77 || len(back.Findings) != 3 || back.Findings[1] != r.Findings[1] {
		t.Errorf("got %+v, %v from %s", back, err, b.String())
	}
}

// FuzzInspectFiles: whatever the kernel's files hold, there are findings with a
// name, a state and a value, and the open ones have a fix.
func FuzzInspectFiles(f *testing.F) {
	for name, file := range fakeRoot() {
		f.Add(name, string(file.Data))
	}
	f.Add("sys/devices/system/cpu/online", "0-")
	f.Add("proc/self/limits", "Max open files 1")
	f.Fuzz(func(t *testing.T, name, text string) {
		root := fakeRoot()
		if _, ok := root[name]; !ok {
			return
		}
		root[name] = &fstest.MapFile{Data: []byte(text)}
		for _, x := range inspectFiles(root, 0) {
			if x.Name == "" || x.Value == "" || x.Fix == "" && (x.State == stateWarn || x.State == stateDenied || x.State == stateMissing) {
				t.Errorf("%s = %q: finding %+v", name, text, x)
			}
		}
	})
}
