package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// probesFix lets somebody other than root define probes: the folder and the file are root's.
const probesFix = "run it as root (sudo perfpipe ...), or once: sudo setcap cap_perfmon,cap_dac_override,cap_ipc_lock+ep $(command -v perfpipe)"

// userProbes judges whether probes of user programs can be defined.
func (m *machine) userProbes() {
	const name = "user probes"
	for _, dir := range tracingDirs {
		if _, err := fs.ReadFile(m.root, path.Join(dir, "available_events")); err != nil {
			continue
		}
		file := path.Join(dir, "uprobe_events")
		fi, err := fs.Stat(m.root, file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			m.add(name, stateWarn, "/"+file+" is not there: functions of user programs cannot be probed", "boot a kernel with CONFIG_UPROBE_EVENTS")
		case err != nil:
			m.add(name, stateWarn, fmt.Sprintf("/%s may not be looked at by user id %d", file, m.uid), probesFix)
		case m.uid != 0 && !m.has(capDACOverride):
			m.add(name, stateWarn, fmt.Sprintf("/%s, mode %04o: user id %d may not write it, and so define no probe", file, fi.Mode().Perm(), m.uid), probesFix)
		default:
			m.add(name, stateOK, "/"+file, "")
		}
		return
	}
	m.add(name, stateNote, "not known while tracefs cannot be read", "")
}

// ptrace says that Yama (Documentation/admin-guide/LSM/Yama.rst) is in nobody's way.
func (m *machine) ptrace() {
	if s := m.text("proc/sys/kernel/yama/ptrace_scope"); s != "" {
		m.add("ptrace", stateOK, "ptrace_scope "+s+", which does not bind probes: they use no ptrace", "")
	}
}

// fewFrames is what a call chain should have room for.
const fewFrames = 64

// chains judges perf_event_max_stack, the most frames of a call chain.
func (m *machine) chains() {
	const name = "call chains"
	const fix = "sudo sysctl kernel.perf_event_max_stack=127 (while nothing records call chains)"
	n, err := strconv.Atoi(m.text("proc/sys/kernel/perf_event_max_stack"))
	switch {
	case err != nil:
		m.add(name, stateNote, "how many frames a chain may have is not known", "")
	case n < fewFrames:
		m.add(name, stateWarn, fmt.Sprintf("%d frames at most: deeper chains are cut", n), fix)
	default:
		m.add(name, stateOK, fmt.Sprintf("%d frames at most", n), "")
	}
}

// kernelNames judges whether /proc/kallsyms shows addresses (kallsyms_show_value,
// kernel/ksyms_common.c): without, frames of the kernel have no names.
func (m *machine) kernelNames() {
	const name = "kernel names"
	f, err := m.root.Open("proc/kallsyms")
	if err != nil {
		m.add(name, stateWarn, "/proc/kallsyms cannot be read: frames of the kernel have no names", "boot a kernel with CONFIG_KALLSYMS, or mount -t proc proc /proc")
		return
	}
	defer func() { _ = f.Close() }() // only read from
	// Absolute symbols of per-CPU data stand first, with addresses of 0: a kernel has
	// some hundred of them.
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil || len(b) == 0 {
		m.add(name, stateWarn, "/proc/kallsyms cannot be read: frames of the kernel have no names", "boot a kernel with CONFIG_KALLSYMS")
		return
	}
	for line := range strings.Lines(string(b)) {
		addr, _, _ := strings.Cut(line, " ")
		if strings.Trim(addr, "0\n") != "" {
			m.add(name, stateOK, "/proc/kallsyms shows addresses", "")
			return
		}
	}
	level := m.text("proc/sys/kernel/kptr_restrict")
	fix := "run it as root, or with CAP_SYSLOG"
	if level == "2" {
		fix = "sudo sysctl kernel.kptr_restrict=1"
	}
	m.add(name, stateWarn, "/proc/kallsyms hides addresses (kptr_restrict "+level+"): frames of the kernel have no names", fix)
}

// cgroups judges what --cgroup can follow, and whether --cgroup-id has ids: perf
// follows v1's perf_event where that is mounted, else v2.
func (m *machine) cgroups() {
	const name = "cgroups"
	v1, v2 := "", ""
	for line := range strings.Lines(m.text("proc/self/mountinfo")) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		switch {
		case !ok || len(f) < 5 || len(g) < 3:
		case g[0] == "cgroup2":
			v2 = f[4]
		case g[0] == "cgroup" && strings.Contains(","+g[2]+",", ",perf_event,"):
			v1 = f[4]
		}
	}
	const fix = "sudo mount -t cgroup2 none /sys/fs/cgroup"
	switch {
	case v1 != "":
		m.add(name, stateNote, "-G follows v1 at "+v1+"; --cgroup-id, which is v2's, is 1 for all tasks", "boot with systemd.unified_cgroup_hierarchy=1")
	case v2 != "":
		m.add(name, stateOK, "v2 at "+v2, "")
	default:
		m.add(name, stateNote, "none is mounted: -G follows nothing", fix)
	}
}

// leftBehind says what killed recordings left in the kernel; err is why that is not known.
func leftBehind(groups []string, err error) finding {
	f := finding{Name: "left behind", State: stateOK, Value: "no probes of recordings that were killed"}
	switch {
	case err != nil:
		f.State, f.Value = stateNote, fmt.Sprintf("not known: %v", err)
	case len(groups) > 0:
		f.State, f.Value = stateNote, fmt.Sprintf("probes of %s that were killed (%s); nothing fires", plural(len(groups), "recording"), some(groups))
		f.Fix = "the next record with a probe removes them"
	}
	return f
}

// some joins the first few names.
func some(names []string) string {
	const show = 3
	if len(names) <= show {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:show], ", "), len(names)-show)
}
