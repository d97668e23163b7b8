package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe/perfev"
)

// capability is one of capabilities(7) that recording has a use for.
type capability struct {
	bit  uint
	name string
}

// Numbers from include/uapi/linux/capability.h.
var (
	capDACOverride   = capability{1, "CAP_DAC_OVERRIDE"}
	capDACReadSearch = capability{2, "CAP_DAC_READ_SEARCH"}
	capIPCLock       = capability{14, "CAP_IPC_LOCK"}
	capSysPtrace     = capability{19, "CAP_SYS_PTRACE"}
	capSysAdmin      = capability{21, "CAP_SYS_ADMIN"}
	capSysResource   = capability{24, "CAP_SYS_RESOURCE"}
	capSyslog        = capability{34, "CAP_SYSLOG"}
	capPerfmon       = capability{38, "CAP_PERFMON"}
	capBPF           = capability{39, "CAP_BPF"}
)

// grantFix is the smallest that lets somebody other than root record.
const grantFix = "run it as root (sudo perfpipe ...), or once: sudo setcap cap_perfmon,cap_dac_read_search,cap_ipc_lock+ep $(command -v perfpipe)"

// machine is what the files below root say. Paths have no leading slash (io/fs).
type machine struct {
	root fs.FS
	uid  int
	caps uint64
	// ids is true where the user ids are those of the whole machine.
	ids bool
	// status is /proc/self/status by key.
	status map[string]string
	found  []finding
}

// inspectFiles finds what recording needs out of the files below root, that of the
// file system, for a process with the effective user id uid. It reads nothing else.
func inspectFiles(root fs.FS, uid int) []finding {
	m := &machine{root: root, uid: uid, status: map[string]string{}}
	for line := range strings.Lines(m.text("proc/self/status")) {
		if k, v, ok := strings.Cut(line, ":"); ok {
			m.status[k] = strings.TrimSpace(v)
		}
	}
	// 64 bits in hexadecimal, all zero where the line is missing.
	m.caps, _ = strconv.ParseUint(m.status["CapEff"], 16, 64)
	m.kernel()
	m.processors()
	m.clock()
	m.container()
	m.capabilities()
	m.paranoid()
	m.lockdown()
	m.tracefs()
	m.pmus()
	m.limits()
	m.btf()
	m.userProbes()
	m.ptrace()
	m.chains()
	m.kernelNames()
	m.cgroups()
	return m.found
}

func (m *machine) add(name string, s state, value, fix string) {
	m.found = append(m.found, finding{Name: name, State: s, Value: value, Fix: fix})
}

// text returns the file without blanks at its ends, "" where it cannot be read.
func (m *machine) text(name string) string {
	b, err := fs.ReadFile(m.root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (m *machine) has(c capability) bool { return m.caps>>c.bit&1 == 1 }

func (m *machine) kernel() {
	release := m.text("proc/sys/kernel/osrelease")
	if release == "" {
		m.add("kernel", stateWarn, "its release cannot be read", "mount -t proc proc /proc")
		return
	}
	var major, minor int
	if n, err := fmt.Sscanf(release, "%d.%d", &major, &minor); n == 2 && err == nil && (major < 5 || major == 5 && minor < 8) {
		m.add("kernel", stateWarn, release+" "+runtime.GOARCH, "5.8 is the oldest with CAP_PERFMON: older ones need CAP_SYS_ADMIN")
		return
	}
	m.add("kernel", stateOK, release+" "+runtime.GOARCH, "")
}

func (m *machine) processors() {
	online := m.text("sys/devices/system/cpu/online")
	cpus, err := perfev.ParseCPUs(online)
	if err != nil {
		m.add("cpus", stateWarn, "the list of online processors cannot be read", "mount -t sysfs sysfs /sys")
		return
	}
	m.add("cpus", stateOK, fmt.Sprintf("%d online (%s)", len(cpus), online), "")
}

// onlineCPUs returns their number, 1 where it is not known.
func (m *machine) onlineCPUs() int {
	cpus, err := perfev.ParseCPUs(m.text("sys/devices/system/cpu/online"))
	if err != nil {
		return 1
	}
	return len(cpus)
}

func (m *machine) clock() {
	switch c := m.text("sys/devices/system/clocksource/clocksource0/current_clocksource"); c {
	case "":
		m.add("clock source", stateNote, "not known", "")
	case "hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit":
		m.add("clock source", stateWarn, c+": reading the time of an event is slow or coarse", "see 'dmesg | grep -i tsc' for why the kernel does not use tsc")
	default:
		m.add("clock source", stateOK, c, "")
	}
}

func (m *machine) container() {
	var hints []string
	for _, f := range []string{".dockerenv", "run/.containerenv"} {
		if _, err := fs.Stat(m.root, f); err == nil {
			hints = append(hints, "/"+f)
		}
	}
	groups := m.text("proc/1/cgroup")
	for _, w := range []string{"docker", "kubepods", "lxc", "libpod", "containerd"} {
		if strings.Contains(groups, w) {
			hints = append(hints, "cgroup "+w)
			break
		}
	}
	if len(strings.Fields(m.status["NSpid"])) > 1 {
		hints = append(hints, "a pid namespace of its own")
	}
	users := strings.Fields(m.text("proc/self/uid_map"))
	m.ids = len(users) == 0 || slices.Equal(users, []string{"0", "0", "4294967295"})
	switch {
	case !m.ids:
		m.add("container", stateWarn, strings.Join(append(hints, "a user namespace of its own: its capabilities count for nothing here"), ", "), "run perfpipe outside of it, or in a container without user namespaces")
	case len(hints) > 0:
		m.add("container", stateNote, strings.Join(hints, ", "), "")
	default:
		m.add("container", stateOK, "none seen", "")
	}
	if m.status["Seccomp"] == "2" {
		m.add("seccomp", stateNote, "a filter is in force; it may refuse perf_event_open", "")
	}
}

func (m *machine) capabilities() {
	var have []string
	for _, c := range []capability{capPerfmon, capSysAdmin, capBPF, capDACReadSearch, capDACOverride, capIPCLock, capSysPtrace, capSysResource, capSyslog} {
		if m.has(c) {
			have = append(have, c.name)
		}
	}
	switch {
	case m.has(capPerfmon) || m.has(capSysAdmin):
		m.add("capabilities", stateOK, strings.Join(have, " "), "")
	case len(have) == 0:
		m.add("capabilities", stateWarn, fmt.Sprintf("none of use, user id %d", m.uid), grantFix)
	default:
		m.add("capabilities", stateWarn, strings.Join(have, " ")+", but neither CAP_PERFMON nor CAP_SYS_ADMIN", grantFix)
	}
}

// paranoid judges perf_event_paranoid (kernel/events/core.c, perf_allow_tracepoint):
// raw tracepoints need CAP_PERFMON unless it is -1. Whether they can be had in the
// end is found out by trial.
func (m *machine) paranoid() {
	const name = "paranoid level"
	s := m.text("proc/sys/kernel/perf_event_paranoid")
	level, err := strconv.Atoi(s)
	switch {
	case err != nil:
		m.add(name, stateWarn, "there is no /proc/sys/kernel/perf_event_paranoid", "boot a kernel with CONFIG_PERF_EVENTS")
	case level < 0:
		m.add(name, stateOK, s+": everybody may record", "")
	case m.ids && (m.has(capPerfmon) || m.has(capSysAdmin)):
		m.add(name, stateOK, s+", which does not bind this process", "")
	default:
		m.add(name, stateWarn, s+": tracepoints need CAP_PERFMON", grantFix)
	}
}

func (m *machine) lockdown() {
	s := m.text("sys/kernel/security/lockdown")
	_, rest, ok := strings.Cut(s, "[")
	mode, _, closed := strings.Cut(rest, "]")
	switch {
	case !ok || !closed:
		m.add("lockdown", stateOK, "not in this kernel, or not to be seen", "")
	case mode == "confidentiality":
		m.add("lockdown", stateWarn, mode+": the kernel refuses to be traced, root included", "boot with lockdown=integrity or lockdown=none (and Secure Boot as that needs)")
	default:
		m.add("lockdown", stateOK, mode, "")
	}
}

// tracingDirs are where tracefs may be mounted.
var tracingDirs = [...]string{"sys/kernel/tracing", "sys/kernel/debug/tracing"}

func (m *machine) tracefs() {
	const mount = "sudo mount -t tracefs nodev /sys/kernel/tracing"
	var refused string
	for _, dir := range tracingDirs {
		fi, err := fs.Stat(m.root, dir)
		if err != nil {
			if errors.Is(err, fs.ErrPermission) && refused == "" {
				refused = dir
			}
			continue
		}
		b, err := fs.ReadFile(m.root, path.Join(dir, "available_events"))
		switch {
		case err == nil:
			m.add("tracefs", stateOK, fmt.Sprintf("/%s, mode %04o, %d events", dir, fi.Mode().Perm(), strings.Count(string(b), "\n")), "")
			return
		case errors.Is(err, fs.ErrPermission):
			m.add("tracefs", stateDenied, fmt.Sprintf("/%s, mode %04o: user id %d may not read it", dir, fi.Mode().Perm(), m.uid), grantFix)
			return
		}
	}
	switch {
	case refused != "" && m.text("proc/self/mountinfo") != "" && !strings.Contains(m.text("proc/self/mountinfo"), " - tracefs "):
		m.add("tracefs", stateMissing, "not mounted", mount)
	case refused != "":
		m.add("tracefs", stateDenied, fmt.Sprintf("/%s may not be looked at by user id %d", refused, m.uid), grantFix)
	case m.has(capSysAdmin) && m.ids:
		m.add("tracefs", stateNote, "not mounted; record mounts it by itself", mount)
	default:
		m.add("tracefs", stateMissing, "not mounted, and mounting it needs CAP_SYS_ADMIN", mount)
	}
}

func (m *machine) pmus() {
	entries, err := fs.ReadDir(m.root, "sys/bus/event_source/devices")
	if err != nil {
		m.add("pmus", stateWarn, "/sys/bus/event_source/devices cannot be read", "mount -t sysfs sysfs /sys")
		return
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	list := strings.Join(names, " ")
	if !slices.Contains(names, "tracepoint") {
		m.add("pmus", stateMissing, list+": tracepoint is not among them", "boot a kernel with CONFIG_EVENT_TRACING and CONFIG_PERF_EVENTS")
		return
	}
	m.add("pmus", stateOK, list, "")
}

// limit returns a limit of /proc/self/limits, -1 for unlimited; ok is false where it is not there.
func (m *machine) limit(name string) (soft, hard int64, ok bool) {
	for line := range strings.Lines(m.text("proc/self/limits")) {
		rest, found := strings.CutPrefix(line, name)
		f := strings.Fields(rest)
		if !found || len(f) < 2 {
			continue
		}
		soft, err1 := limitValue(f[0])
		hard, err2 := limitValue(f[1])
		return soft, hard, err1 == nil && err2 == nil
	}
	return 0, 0, false
}

func limitValue(s string) (int64, error) {
	if s == "unlimited" {
		return -1, nil
	}
	return strconv.ParseInt(s, 10, 64)
}

func limitText(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

// fewEvents is how many events at once nobody should be kept from: more than any
// one system but syscalls has.
const fewEvents = 128

func (m *machine) limits() {
	cpus := int64(m.onlineCPUs())
	if soft, hard, ok := m.limit("Max open files"); !ok {
		m.add("open files", stateWarn, "the limit cannot be read", "mount -t proc proc /proc")
	} else {
		// An event needs a descriptor on each processor; some are taken by files.
		most := hard
		value := fmt.Sprintf("%s (hard %s)", limitText(soft), limitText(hard))
		if most >= 0 {
			value += fmt.Sprintf(": about %d events on %s", max(0, (most-32)/cpus), plural(int(cpus), "processor"))
		}
		if most >= 0 && (most-32)/cpus < fewEvents {
			m.add("open files", stateWarn, value, fmt.Sprintf("ulimit -Hn %d as root, or LimitNOFILE= in the service", fewEvents*cpus+32))
		} else {
			m.add("open files", stateOK, value, "")
		}
	}

	soft, _, ok := m.limit("Max locked memory")
	kb, err := strconv.ParseInt(m.text("proc/sys/kernel/perf_event_mlock_kb"), 10, 64)
	level, perr := strconv.Atoi(m.text("proc/sys/kernel/perf_event_paranoid"))
	switch {
	case !ok || err != nil:
		m.add("ring memory", stateNote, "the limits cannot be read", "")
	case m.ids && m.has(capIPCLock) || perr == nil && level < 0:
		m.add("ring memory", stateOK, "not limited", "")
	default:
		m.add("ring memory", stateWarn, fmt.Sprintf("perf_event_mlock_kb %d KiB a processor, then locked memory of %s bytes", kb, limitText(soft)), "CAP_IPC_LOCK, or ulimit -l unlimited as root; or smaller rings: -m "+strconv.FormatInt(max(kb-4, 4), 10)+"K")
	}
}

func (m *machine) btf() {
	fi, err := fs.Stat(m.root, "sys/kernel/btf/vmlinux")
	if err != nil {
		m.add("btf", stateNote, "none (CONFIG_DEBUG_INFO_BTF); record does not need it", "")
		return
	}
	m.add("btf", stateOK, fmt.Sprintf("/sys/kernel/btf/vmlinux, %.1f MB", float64(fi.Size())/1e6), "")
}
