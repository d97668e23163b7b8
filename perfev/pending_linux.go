package perfev

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxStackScan bounds how much of one stack is looked at: the usual limit of a stack.
const maxStackScan = 8 << 20

// pendingReturns counts the calls that the kernel's trampoline waits for: return
// addresses on the stacks of living threads that it has replaced by its own. Those
// have not returned yet and are no loss. A thread that runs cannot be looked at, and
// is taken to be in one call. Processes and threads that end meanwhile have none. Only
// processes that have one of the files mapped are looked at, all where files is nil; of
// those that wait for others' return probes as well more is counted than is ours.
func pendingReturns(files map[uint64]bool) uint64 {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	var n uint64
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)); err == nil && hasFile(string(maps), files) {
			n += pendingIn(pid, string(maps))
		}
	}
	return n
}

// inodes are those of the files of entries, nil where one has no file or cannot be
// looked at any more.
func inodes(entries []Entry) map[uint64]bool {
	files := make(map[uint64]bool)
	for _, e := range entries {
		var st unix.Stat_t
		if e.Path == "" || unix.Stat(e.Path, &st) != nil {
			return nil
		}
		files[st.Ino] = true
	}
	return files
}

// hasFile reports whether the text of /proc/PID/maps has a mapping of one of the
// files, by inode: the device that it shows is not stat's on every file system.
func hasFile(maps string, files map[uint64]bool) bool {
	if files == nil {
		return true
	}
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		if ino, err := strconv.ParseUint(f[4], 10, 64); err == nil && files[ino] {
			return true
		}
	}
	return false
}

// area is a mapping of a process.
type area struct{ start, end uint64 }

// areasOf reads the mappings of a process, and where the kernel's area for uprobes
// begins, which is where its trampoline is (xol_get_area, kernel/events/uprobes.c).
func areasOf(maps string) (areas []area, trampoline uint64) {
	for line := range strings.Lines(maps) {
		span, _, _ := strings.Cut(line, " ")
		from, to, ok := strings.Cut(span, "-")
		if !ok {
			continue
		}
		start, err := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err != nil || err2 != nil {
			continue
		}
		areas = append(areas, area{start, end})
		if strings.HasSuffix(line, "[uprobes]\n") {
			trampoline = start
		}
	}
	return areas, trampoline
}

// pendingIn counts those of one process.
func pendingIn(pid int, maps string) uint64 {
	areas, trampoline := areasOf(maps)
	if trampoline == 0 {
		return 0
	}
	tids, err := threadsOf(pid)
	if err != nil {
		return 0
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = mem.Close() }() // only read from
	var n uint64
	for _, tid := range tids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/syscall", pid, tid))
		if err != nil {
			continue
		}
		sp, running := stackPointer(string(b))
		if running {
			n++
			continue
		}
		for _, a := range areas {
			if sp >= a.start && sp < a.end {
				n += countWords(mem, sp&^7, min(a.end, sp+maxStackScan), trampoline)
			}
		}
	}
	return n
}

// stackPointer reads /proc/PID/task/TID/syscall (proc_pid_syscall(5)): the last word
// but one of a thread that waits; "running" of one that runs.
func stackPointer(text string) (sp uint64, running bool) {
	w := strings.Fields(text)
	if len(w) == 1 && w[0] == "running" {
		return 0, true
	}
	if len(w) < 3 {
		return 0, false
	}
	sp, err := strconv.ParseUint(w[len(w)-2], 0, 64)
	if err != nil {
		return 0, false
	}
	return sp, false
}

// countWords counts the aligned words of memory from from to to that are word.
func countWords(mem io.ReaderAt, from, to, word uint64) (n uint64) {
	buf := make([]byte, 64<<10)
	for from < to {
		got, err := mem.ReadAt(buf[:min(uint64(len(buf)), to-from)], int64(from))
		for b := buf[:got&^7]; len(b) > 0; b = b[8:] {
			if binary.LittleEndian.Uint64(b) == word {
				n++
			}
		}
		if err != nil {
			return n
		}
		from += uint64(got)
	}
	return n
}
