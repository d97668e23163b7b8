package tracefs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

func selfIdentity() (identity, error) {
	id := identity{pid: os.Getpid()}
	var err error
	if id.start, err = startTime(id.pid); err != nil {
		return id, err
	}
	fi, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return id, err
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.namespace = st.Ino
	}
	return id, nil
}

// alive reports whether the process still is. Where /proc does not tell, it is.
func (id identity) alive() bool {
	start, err := startTime(id.pid)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	return err != nil || start == id.start
}

// startTime reads field 22 of /proc/PID/stat. The name in field 2 may hold
// spaces and parentheses: counting begins behind its last one.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return 0, fmt.Errorf("read /proc/%d/stat: %d fields behind the name, want 20", pid, len(f))
	}
	return strconv.ParseUint(string(f[19]), 10, 64)
}
