package uprobe

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Debugged says what there is to know where process pid is traced by a debugger, ""
// where it is not. While a debugger has a breakpoint at the address of a probe, it
// takes the hits; and where the probe is removed first, the debugger puts a trap
// back that nobody will ever clear.
func Debugged(pid int, p *Probe) string {
	tracer := tracerOf(pid)
	if tracer == 0 {
		return ""
	}
	if site, ok := breakpointAt(pid, p); ok {
		return fmt.Sprintf("process %d is debugged by process %d, and there is a breakpoint at the probed address (%s, offset 0x%x): if it is the debugger's and no other tracer's, hits are not seen while it is there; delete it before this recording ends", pid, tracer, site.Func, site.Offset)
	}
	return fmt.Sprintf("process %d is traced by process %d: set no breakpoint at a probed address, its hits would not be seen", pid, tracer)
}

// tracerOf is the process that ptraces pid, 0 for none.
func tracerOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "TracerPid:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(v))
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

// breakpointAt finds a site of p at which the memory of process pid holds a trap that
// the file does not. It is asked before p is armed, whose own trap would be there as
// well, as those of other tracers' probes are: nothing tells them from a debugger's.
func breakpointAt(pid int, p *Probe) (Site, bool) {
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return Site{}, false
	}
	defer func() { _ = mem.Close() }() // only read from
	file, err := os.Open(p.Path)
	if err != nil {
		return Site{}, false
	}
	defer func() { _ = file.Close() }() // only read from
	maps := mappings(pid)
	for i := range p.Variants {
		for _, s := range p.Variants[i].Sites {
			was, ok := byteAt(file, int64(s.Offset))
			if !ok || was == trap {
				continue
			}
			for _, m := range maps {
				if m.path != p.Binary || s.Offset < m.offset || s.Offset-m.offset >= m.end-m.start {
					continue
				}
				if has, ok := byteAt(mem, int64(m.start+s.Offset-m.offset)); ok && has == trap {
					return s, true
				}
			}
		}
	}
	return Site{}, false
}

// trap is INT3, what a breakpoint is made of on x86.
const trap = 0xcc

func byteAt(r io.ReaderAt, off int64) (byte, bool) {
	var b [1]byte
	_, err := r.ReadAt(b[:], off)
	return b[0], err == nil
}

// mapping is a part of a file in the memory of a process, to be run.
type mapping struct {
	path               string
	start, end, offset uint64
}

// mappings are the executable mappings of files in process pid.
func mappings(pid int) []mapping {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil
	}
	return parseMappings(string(b))
}

// parseMappings reads /proc/PID/maps (proc_pid_maps(5)):
//
//	7f0128000000-7f0129000000 r-xp 00028000 fe:00 1234    /usr/lib/x86_64-linux-gnu/libc.so.6
func parseMappings(text string) []mapping {
	var list []mapping
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		at := strings.IndexByte(line, '/')
		if len(f) < 6 || !strings.Contains(f[1], "x") || at < 0 {
			continue
		}
		from, to, ok := strings.Cut(f[0], "-")
		if !ok {
			continue
		}
		m := mapping{path: strings.TrimSuffix(strings.TrimSuffix(line[at:], "\n"), " (deleted)")}
		var err, err2, err3 error
		m.start, err = strconv.ParseUint(from, 16, 64)
		m.end, err2 = strconv.ParseUint(to, 16, 64)
		m.offset, err3 = strconv.ParseUint(f[2], 16, 64)
		if err != nil || err2 != nil || err3 != nil || m.end < m.start {
			continue
		}
		list = append(list, m)
	}
	return list
}
