package perfev

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// callGroups are the events of system calls, entries and returns, which two programs
// record.
type callGroups [2]callGroup

// callGroup are entries or returns.
type callGroup struct {
	list []callEvent
}

// callEvent is the event of one system call.
type callEvent struct {
	event, number, args, slot int
}

// of returns the group of entries or of returns.
func (c *callGroups) of(exit bool) *callGroup {
	if exit {
		return &c[1]
	}
	return &c[0]
}

// add takes an event where it is one of a system call whose number is known.
func (c *callGroups) add(t *tracepoints, event int, sc *perfpipe.Schema) bool {
	k, ok := callOf(sc, 0)
	if !ok {
		return false
	}
	g := c.of(k.Exit)
	g.list = append(g.list, callEvent{event: event, number: k.Number, args: k.Args, slot: t.slot(event)})
	return true
}

// callOf describes the event of one system call whose number is known; pid is the
// offset of common_pid.
func callOf(sc *perfpipe.Schema, pid int) (*bpf.Call, bool) {
	args, ok := callArgs(sc)
	if !ok {
		return nil, false
	}
	_, rest, _ := strings.Cut(sc.Name, "_")
	_, name, _ := strings.Cut(rest, "_")
	number, ok := bpf.CallNumber64(name)
	return &bpf.Call{Exit: isCallExit(sc), Type: sc.ID, PID: pid, Number: number, Args: args}, ok
}

// callTracepoint is what every system call passes on its way in, or out.
func callTracepoint(exit bool) string {
	if exit {
		return "sys_exit"
	}
	return "sys_enter"
}

// events lists the events of a group.
func (c *callGroups) events(exit bool) []int {
	var list []int
	for _, e := range c.of(exit).list {
		list = append(list, e.event)
	}
	return list
}

// addCalls makes the program for a group and its table.
func (s *Source) addCalls(c *callGroups, exit bool) (p tracing, err error) {
	t, list := s.programs.points, c.of(exit).list
	most := 0
	for _, e := range list {
		most = max(most, e.number)
	}
	values := make([]uint64, most+1)
	for _, e := range list {
		values[e.number] = bpf.CallEntry(uint16(s.schemas[e.event].ID), uint8(e.args), uint32(e.slot))
	}
	table, err := makeMap(&ebpf.MapSpec{Name: "pp_calls", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(8 * len(values)), MaxEntries: 1})
	if err != nil {
		return p, fmt.Errorf("make the table of system calls: %w", err)
	}
	t.tables = append(t.tables, table)
	if err := table.Put(uint32(0), values); err != nil {
		return p, fmt.Errorf("fill the table of system calls: %w", err)
	}
	code, err := bpf.AssembleCalls(&bpf.Calls{Exit: exit, PID: int(s.pidOff), Table: table.FD(), Numbers: len(values)}, t.maps)
	return tracing{tracepoint: callTracepoint(exit), code: code, events: c.events(exit)}, err
}
