package lifecycle

import (
	"github.com/perfpipe/perfpipe"
)

// Event is the name that the made-up event bears in filters, losses and manifests.
const Event = "perfpipe:lifecycle"

// Kind is what a row tells of.
type Kind uint8

// Kinds of rows, the values of the field "kind".
const (
	// Fork is a new process, Clone a new thread.
	Fork Kind = iota + 1
	Clone
	// Exec is a task that has begun another program, ExecFailure one that could not.
	Exec
	ExecFailure
	// Exit is the end of a thread.
	Exit
	// SignalSent and SignalDelivered are the two ends of a signal. What ends a whole
	// process is delivered to its threads as SIGKILL, whatever was sent.
	SignalSent
	SignalDelivered
	// Rename is a task that was given another name.
	Rename
)

// String returns the text of the kind in the table.
func (k Kind) String() string {
	for _, s := range kindSymbols() {
		if s.Value == uint64(k) {
			return s.Name
		}
	}
	return "unknown"
}

func kindSymbols() []perfpipe.Symbol {
	return symbols(1, "fork", "clone", "exec", "exec_failure", "exit", "signal_sent", "signal_delivered", "rename")
}

// resultSymbols are enum of include/trace/events/signal.h: what became of a signal.
func resultSymbols() []perfpipe.Symbol {
	return symbols(0, "delivered", "ignored", "already_pending", "overflow_fail", "lose_info")
}

// cloneSymbols are CLONE_* of include/uapi/linux/sched.h, by their bits. The low
// byte is the signal to the parent.
func cloneSymbols() []perfpipe.Symbol {
	names := [...]string{
		"VM", "FS", "FILES", "SIGHAND", "PIDFD", "PTRACE", "VFORK", "PARENT", "THREAD", "NEWNS", "SYSVSEM", "SETTLS", "PARENT_SETTID",
		"CHILD_CLEARTID", "DETACHED", "UNTRACED", "CHILD_SETTID", "NEWCGROUP", "NEWUTS", "NEWIPC", "NEWUSER", "NEWPID", "NEWNET", "IO",
	}
	out := make([]perfpipe.Symbol, len(names))
	for i, n := range names {
		out[i] = perfpipe.Symbol{Name: "CLONE_" + n, Value: 1 << (8 + i)}
	}
	return out
}

// symbols numbers names from first on.
func symbols(first uint64, names ...string) []perfpipe.Symbol {
	out := make([]perfpipe.Symbol, len(names))
	for i, n := range names {
		out[i] = perfpipe.Symbol{Name: n, Value: first + uint64(i)}
	}
	return out
}

// Columns of a row, in the order of the schema; each is also its bit in the mask.
type column uint8

const (
	colKind column = iota
	colChildPID
	colChildTID
	colCloneFlags
	colFilename
	colOldTID
	colErrno
	colExitCode
	colCore
	colGroupDead
	colSignal
	colSignalCode
	colHandler
	colTarget
	colTargetComm
	colToGroup
	colResult
	colOldComm
	colNewComm
	columns
)

// Layout of a raw record: the common fields, the mask, the columns, then the bytes of filename.
const (
	maskOffset   = 8
	fieldsOffset = 12
	// commSize is TASK_COMM_LEN.
	commSize = 16
)

// CTypeName is the [perfpipe.Field.CType] of a field whose value is one of its
// Symbols and is nothing without it: it becomes a column of text.
const CTypeName = "name"

// Schema returns the made-up event. Its fields have values in some kinds of rows, as
// their names tell:
//
//	kind                    Kind, by name
//	child_pid, child_tid    fork and clone: the new task; child_pid is null where the process is not known
//	clone_flags             fork and clone: CLONE_* and the signal to the parent
//	filename                exec: the path as it was given to execve
//	old_tid                 exec: the thread that called execve; it has its process's id now
//	errno                   exec_failure: positive; signals: si_errno
//	exit_code               exit: 0 to 255
//	signal                  exit: what ended it, instead of exit_code; signals: which
//	core                    exit by a signal: it is one that dumps core by default.
//	                        Whether one was written is in no event
//	group_dead              exit: it was the process's last thread
//	signal_code             signals: si_code
//	handler                 signal_delivered: address, 0 SIG_DFL, 1 SIG_IGN
//	target, target_comm     signal_sent: thread that it is for; rename: thread (no comm)
//	to_group                signal_sent: it is for the process, any thread may take it
//	result                  signal_sent: "delivered", "ignored", ...
//	old_comm, new_comm      rename
//
// Of an exit, exit_code and signal are both null where the events do not tell, for
// instance where the sender of the signal was not recorded or records were lost.
func Schema() *perfpipe.Schema {
	s := &perfpipe.Schema{
		System: "perfpipe", Name: "lifecycle", Table: "_lifecycle",
		Common: []perfpipe.Field{
			scalar("common_type", "unsigned short", 0, 2, perfpipe.KindUint),
			scalar("common_flags", "unsigned char", 2, 1, perfpipe.KindUint),
			scalar("common_preempt_count", "unsigned char", 3, 1, perfpipe.KindUint),
			scalar("common_pid", "int", 4, 4, perfpipe.KindInt),
		},
		Size: fieldsOffset,
	}
	for c := range columns {
		f := shape(c)
		f.Offset = s.Size
		if c != colKind {
			f.Probed = &perfpipe.Probed{Check: -1, Head: -1, Length: -1, Mask: maskOffset, Bit: uint8(c)}
		}
		s.Fields = append(s.Fields, f)
		s.Size += f.Size
	}
	return s
}

// shape is the field of a column without its place.
func shape(c column) perfpipe.Field {
	s32 := func(name, ctype string) perfpipe.Field { return scalar(name, ctype, 0, 4, perfpipe.KindInt) }
	truth := func(name string) perfpipe.Field { return scalar(name, "bool", 0, 1, perfpipe.KindBool) }
	comm := func(name string) perfpipe.Field {
		return perfpipe.Field{Name: name, CType: "char[16]", Size: commSize, ElemSize: 1, Count: commSize, Kind: perfpipe.KindString}
	}
	name := func(name string, of []perfpipe.Symbol) perfpipe.Field {
		f := scalar(name, CTypeName, 0, 1, perfpipe.KindUint)
		f.Symbols = of
		return f
	}
	switch c {
	case colKind:
		return name("kind", kindSymbols())
	case colChildPID:
		return s32("child_pid", "pid_t")
	case colChildTID:
		return s32("child_tid", "pid_t")
	case colCloneFlags:
		f := scalar("clone_flags", "u64", 0, 8, perfpipe.KindUint)
		f.Symbols, f.FlagsDelim = cloneSymbols(), "|"
		return f
	case colFilename:
		return perfpipe.Field{Name: "filename", CType: "__data_loc char[]", Size: 4, ElemSize: 1, Kind: perfpipe.KindString, Loc: perfpipe.LocData}
	case colOldTID:
		return s32("old_tid", "pid_t")
	case colErrno:
		return s32("errno", "int")
	case colExitCode:
		return s32("exit_code", "int")
	case colCore:
		return truth("core")
	case colGroupDead:
		return truth("group_dead")
	case colSignal:
		f := s32("signal", "int")
		f.Symbols = signalSymbols()
		return f
	case colSignalCode:
		return s32("signal_code", "int")
	case colHandler:
		return scalar("handler", "void *", 0, 8, perfpipe.KindPointer)
	case colTarget:
		return s32("target", "pid_t")
	case colTargetComm:
		return comm("target_comm")
	case colToGroup:
		return truth("to_group")
	case colResult:
		return name("result", resultSymbols())
	case colOldComm:
		return comm("old_comm")
	}
	return comm("new_comm")
}

func scalar(name, ctype string, off, size int, kind perfpipe.Kind) perfpipe.Field {
	return perfpipe.Field{Name: name, CType: ctype, Offset: off, Size: size, ElemSize: size, Count: 1, Kind: kind, Signed: kind == perfpipe.KindInt}
}
