package lifecycle

import (
	"errors"
	"io/fs"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// Names of the kernel's events that are read.
const (
	evNewTask   = "task:task_newtask"
	evFork      = "sched:sched_process_fork"
	evExec      = "sched:sched_process_exec"
	evExecve    = "syscalls:sys_exit_execve"
	evExecveat  = "syscalls:sys_exit_execveat"
	evExitGroup = "syscalls:sys_enter_exit_group"
	evExitOne   = "syscalls:sys_enter_exit"
	evExit      = "sched:sched_process_exit"
	evGenerate  = "signal:signal_generate"
	evDeliver   = "signal:signal_deliver"
	evRename    = "task:task_rename"
)

// need is one event with what takes its place, and what is missing without either.
type need struct {
	event, instead, without string
}

func needs() []need {
	return []need{
		{evNewTask, evFork, "no rows of fork and clone"},
		{evExec, "", "no rows of exec"},
		{evExecve, "", "no rows of execve calls that failed"},
		{evExecveat, "", "no rows of execveat calls that failed"},
		{evExitGroup, "", "exit_code is null where a process ended by exit"},
		{evExitOne, "", "exit_code is null where a thread ended on its own"},
		{evExit, "", "no rows of exit"},
		{evGenerate, "", "no rows of signal_sent, and the signal that ended a task is known only where it was delivered by that name"},
		{evDeliver, "", "no rows of signal_delivered, and no signal with an exit"},
		{evRename, "", "no rows of rename"},
	}
}

// Missing is an event that this kernel does not have.
type Missing struct {
	// Event is "system:name".
	Event string
	// Means says what the table lacks for it: "no rows of rename".
	Means string
}

// Events returns the kernel's events that the table is made of, each once, and those
// that this kernel lacks (kernels built without CONFIG_FTRACE_SYSCALLS have none of
// the system "syscalls"). list returns the schema of an event, such as
// [tracefs.FS.SchemaOf]; its errors other than that the event is not there are
// returned, as is a kernel that has none of them.
func Events(list func(event string) (*perfpipe.Schema, error)) (events []string, missing []Missing, err error) {
	for _, n := range needs() {
		there, err := has(list, n.event)
		if err != nil {
			return nil, nil, err
		}
		if there {
			events = append(events, n.event)
			continue
		}
		m := Missing{Event: n.event, Means: n.without}
		if n.instead != "" {
			there, err := has(list, n.instead)
			if err != nil {
				return nil, nil, err
			}
			if there {
				events = append(events, n.instead)
				m.Means = n.instead + " takes its place: threads are not told from processes, and clone_flags is null"
			}
		}
		missing = append(missing, m)
	}
	if len(events) == 0 {
		return nil, missing, errors.New("find the events of task lives: this kernel has none of them; it needs CONFIG_EVENT_TRACING")
	}
	return events, missing, nil
}

func has(list func(string) (*perfpipe.Schema, error), event string) (bool, error) {
	_, err := list(event)
	var unknown *tracefs.UnknownEventError
	if errors.As(err, &unknown) || errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
