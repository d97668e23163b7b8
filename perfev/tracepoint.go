package perfev

import (
	"errors"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// noTracepoint says why a program cannot record an event of the kernel, as far as that
// is known without the kernel's types. Of itself none is taken that would lose events
// that others do not, though they are counted. One whose arguments nobody described is recorded
// by a program only where programs were asked for: it is skipped in interrupts that
// come while another program of that kind runs, and others' records with it.
func (c *Config) noTracepoint(ev *Event) error {
	switch {
	case ev.User:
		return errors.New("there is no program for it")
	case ev.ReadsContext:
		return errors.New("its filter reads common_flags or common_preempt_count, which a program cannot know")
	case c.Engine == EngineAuto && !isCall(ev.Schema) && !bpf.Knows(ev.Schema):
		return errors.New("no program of ours knows the arguments of its tracepoint")
	case c.Engine == EngineAuto && bpf.Nests(ev.Schema):
		return errors.New("a program misses one that an interrupt makes while it runs for another: those would be counted, and other engines have them")
	}
	return nil
}

// isCall reports whether the event is one of a system call's own, with the fields that
// such have: then one program records all of them.
func isCall(s *perfpipe.Schema) bool {
	_, ok := callArgs(s)
	return ok
}

// callArgs returns how many arguments of 8 bytes each the record of a system call's
// event has, 1 for what is returned.
func callArgs(s *perfpipe.Schema) (n int, ok bool) {
	exit := isCallExit(s)
	if s.System != "syscalls" || len(s.Fields) < 1 || len(s.Fields) > 1+bpf.MaxCallArgs || exit && len(s.Fields) != 2 {
		return 0, false
	}
	nr := &s.Fields[0]
	if nr.Name != "__syscall_nr" && nr.Name != "nr" || nr.Offset != bpf.CallNumber || nr.Size != 4 {
		return 0, false
	}
	for i := range s.Fields[1:] {
		f := &s.Fields[1+i]
		if f.Loc != perfpipe.LocStatic || f.Array || f.Size != 8 || f.Offset != bpf.CallArgs+8*i {
			return 0, false
		}
	}
	return len(s.Fields) - 1, true
}

// isCallExit reports whether the event is of a system call's return.
func isCallExit(s *perfpipe.Schema) bool {
	const prefix = "sys_exit_"
	return len(s.Name) > len(prefix) && s.Name[:len(prefix)] == prefix
}
