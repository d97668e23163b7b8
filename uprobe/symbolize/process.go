package symbolize

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// process is what is known of one.
type process struct {
	root  string // its root folder, "" where it is gone
	nsPID int32  // its number in its own pid namespace
}

func (s *Symbolizer) process(pid int32) process {
	if p, ok := s.processes[pid]; ok {
		return p
	}
	p := process{nsPID: pid}
	dir := filepath.Join(s.o.Proc, strconv.Itoa(int(pid)))
	if b, err := os.ReadFile(filepath.Join(dir, "status")); err == nil {
		p.root = filepath.Join(dir, "root")
		p.nsPID = parseNSPID(string(b), pid)
	}
	s.processes[pid] = p
	return p
}

// parseNSPID returns the last number of the NSpid line of /proc/PID/status, the
// process's own; pid where there is none.
func parseNSPID(status string, pid int32) int32 {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		if w := strings.Fields(rest); len(w) > 0 {
			if n, err := strconv.ParseInt(w[len(w)-1], 10, 32); err == nil {
				return int32(n)
			}
		}
	}
	return pid
}
