//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// perfRow is an event as perf script prints it.
type perfRow struct {
	values map[string]string
	ns     int64
	tid    int64
	text   string
}

// perfScript reads the lines of perf script -F tid,cpu,time,event,trace --ns, by event and CPU.
func perfScript(t *testing.T, out []byte) map[string]map[int][]perfRow {
	t.Helper()
	rows := make(map[string]map[int][]perfRow)
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		// "32523 [000]  5902.213834795:   kmem:kmalloc: call_site=... ptr=0x..."
		f := strings.SplitN(strings.Join(strings.Fields(sc.Text()), " "), " ", 5)
		if len(f) < 4 {
			continue
		}
		tid, err1 := strconv.ParseInt(f[0], 10, 64)
		cpu, err2 := strconv.Atoi(strings.Trim(f[1], "[]"))
		sec, ns, _ := strings.Cut(strings.TrimSuffix(f[2], ":"), ".")
		s, err3 := strconv.ParseInt(sec, 10, 64)
		n, err4 := strconv.ParseInt(ns, 10, 64)
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil {
				t.Fatalf("perf script line %q: %v", sc.Text(), err)
			}
		}
		event := strings.TrimSuffix(f[3], ":")
		r := perfRow{tid: tid, ns: s*1e9 + n, text: sc.Text(), values: map[string]string{}}
		if len(f) == 5 {
			for _, word := range strings.Fields(strings.ReplaceAll(f[4], ": ", "=")) {
				if k, v, ok := strings.Cut(strings.Trim(word, "[](),"), "="); ok {
					if _, twice := r.values[k]; !twice {
						r.values[k] = v
					}
				}
			}
		}
		if rows[event] == nil {
			rows[event] = make(map[int][]perfRow)
		}
		rows[event][cpu] = append(rows[event][cpu], r)
	}
	return rows
}

// hexFields are printed in hex without 0x.
var hexFields = map[string]bool{"clone_flags": true, "sa_handler": true, "sa_flags": true}

// differs says how our row differs from perf's, "" where it does not, and how
// many fields were compared. perf prints some fields by name or by a formula;
// those that it prints as a number or as text are compared.
func differs(ours row, p perfRow) (string, int) {
	// Of a task past its exit perf says -1.
	if ours.num("tid") != p.tid && p.tid != -1 {
		return fmt.Sprintf("tid %d", ours.num("tid")), 0
	}
	compared := 0
	for k, v := range p.values {
		col := k
		if _, ok := ours["args_"+k]; ok {
			col = "args_" + k
		} else if k == "cpu" || k == "pid" || k == "comm" {
			continue // what is printed is no field: timer_start's cpu stands in its flags
		}
		switch o := ours[col].(type) {
		case string:
			compared++
			if o != v {
				return fmt.Sprintf("%s is %q, perf has %q", col, o, v), compared
			}
		case json.Number:
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || hexFields[k] {
				u, uerr := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 64)
				if uerr != nil || !hexFields[k] && !strings.HasPrefix(v, "0x") {
					continue // printed by name, or with a unit
				}
				n = int64(u)
			}
			// Of some wider arguments perf prints 32 bits.
			if got := ours.num(col); got != n && uint64(uint32(got)) != uint64(n) {
				return fmt.Sprintf("%s is %d, perf has %s", col, got, v), compared
			}
			compared++
		}
	}
	return "", compared
}

// TestFidelity records the same events with perf and with perfpipe at the same
// time: by event and CPU, every row of perf's must be ours, and in the same order but
// for interrupts.
func TestFidelity(t *testing.T) {
	testpriv.Need(t)
	perf := testpriv.NeedTool(t, "perf")
	testpriv.Lock(t)
	for _, engine := range []string{"auto", "perf"} {
		t.Run(engine, func(t *testing.T) {
			// Each tool keeps an event from its own recursion, and so may have one that the
			// other has not, once in many thousands: a fault stays.
			const tries = 3
			var errs []error
			for range tries {
				if errs = fidelity(t, perf, engine); len(errs) == 0 {
					return
				}
				t.Log(errors.Join(errs...))
			}
			t.Errorf("%d times: %v", tries, errors.Join(errs...))
		})
	}
}

// fidelity records once and returns in which events and on which CPUs the two differ.
func fidelity(t *testing.T, perf, engine string) (errs []error) {
	t.Helper()
	dir := t.TempDir()
	data, out := filepath.Join(dir, "perf.data"), filepath.Join(dir, "d")
	events := []string{"sched:sched_switch", "sched:sched_wakeup", "syscalls:sys_enter_openat", "irq:*", "timer:*", "kmem:*", "signal:*", "task:*"}
	args := []string{"record", "--engine", engine, "--trace-self", "-m", "64M", "-a", "-o", out, "--format", "ndjson"}
	pargs := []string{perf, "record", "-q", "-m", "32M", "-k", "CLOCK_MONOTONIC", "-a", "-o", data}
	for _, e := range events {
		args, pargs = append(args, "-e", e), append(pargs, "-e", e)
	}
	args = append(append(args, "--"), pargs...)
	invoke(t, append(args, "--", "sh", "-c", "ls /etc; kill -0 $$; (sleep 0.1; :) & ls -R /usr/share/doc; wait")...).want(t, 0, "(0 lost)")

	script := exec.Command(perf, "script", "-i", data, "-F", "tid,cpu,time,event,trace", "--ns")
	text, err := script.Output()
	if err != nil {
		t.Fatalf("perf script: %v", err)
	}
	seen, compared := 0, 0
	theirs := perfScript(t, text)
	// Linux 6.18 never lets go of perf's guard against recursion in the idle task of a
	// processor that was offline while events were recorded: perf does not see that task.
	sees := make(map[int]bool)
	for _, cpus := range theirs {
		for cpu, rows := range cpus {
			sees[cpu] = sees[cpu] || slices.ContainsFunc(rows, func(r perfRow) bool { return r.tid == 0 })
		}
	}
	for event, cpus := range theirs {
		rows := readRows(t, readFile(t, filepath.Join(out, strings.Replace(event, ":", ".", 1), "part-000000.ndjson")))
		byCPU := make(map[int][]row)
		for _, r := range rows {
			cpu := int(r.num("cpu"))
			if r.num("tid") == 0 && !sees[cpu] {
				continue
			}
			byCPU[cpu] = append(byCPU[cpu], r)
		}
		for cpu, want := range cpus {
			n, err := align(byCPU[cpu], want)
			compared += n
			seen += len(want)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s on cpu %d: %w", event, cpu, err))
			}
		}
	}
	for _, e := range []string{"sched:sched_switch", "sched:sched_wakeup", "syscalls:sys_enter_openat", "irq:softirq_entry", "timer:hrtimer_start", "kmem:kmalloc", "signal:signal_generate", "task:task_newtask"} {
		if len(theirs[e]) == 0 {
			t.Errorf("perf saw no %s: the load is not what it should be", e)
		}
	}
	t.Logf("%d rows of %d events, %d fields compared", seen, len(theirs), compared)
	if len(errs) == 0 && (seen == 0 || compared < seen) {
		t.Errorf("compared %d fields of %d rows: too little", compared, seen)
	}
	return errs
}

// align finds for each of perf's rows the first of ours that is the same and was not
// found yet, not far from it in time. Each tool has its own event and takes its own time
// of it, some microseconds apart. Between the first and the last of them every row of
// ours must have been found, and their order must be the same, but that an interrupt's
// events may come in between.
func align(ours []row, theirs []perfRow) (compared int, err error) {
	// begun is how much earlier than perf's own row ours of it may be.
	const near, begun = 20_000_000, 200_000
	ts := make([]int64, len(ours))
	for i, r := range ours {
		ts[i] = r.num("ts")
	}
	first, _ := slices.BinarySearch(ts, theirs[0].ns-begun)
	used := make([]bool, len(ours))
	from, last, moved := first, first, 0
	for i, p := range theirs {
		for from < len(ours) && (used[from] || ts[from] < p.ns-near) {
			from++
		}
		at := from
		for ; at < len(ours) && ts[at] < p.ns+near; at++ {
			if used[at] {
				continue
			}
			if diff, n := differs(ours[at], p); diff == "" {
				compared += n
				break
			}
		}
		if at == len(ours) || ts[at] >= p.ns+near {
			return compared, fmt.Errorf("row %d of %d is not among ours: %s", i, len(theirs), p.text)
		}
		used[at] = true
		if at < last {
			moved++
		}
		last = max(last, at)
	}
	for i := first; i < last; i++ {
		if !used[i] && ts[i] > theirs[0].ns+near && ts[i] < theirs[len(theirs)-1].ns-near {
			return compared, fmt.Errorf("ours at %d is not among perf's: %v", ts[i], ours[i])
		}
	}
	if most := 5 + len(theirs)/20; moved > most {
		return compared, fmt.Errorf("%d of %d rows stand in another place, at most %d may", moved, len(theirs), most)
	}
	return compared, nil
}
