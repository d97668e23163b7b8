// Package lifecycle makes one table of the lives of tasks: who was started, what
// they ran, which signals they were sent, what ended them. It reads the kernel's own
// events behind a source and hands out rows of a made-up event, perfpipe:lifecycle.
//
//	fork, clone       task:task_newtask, else sched:sched_process_fork
//	exec              sched:sched_process_exec
//	exec_failure      syscalls:sys_exit_execve, sys_exit_execveat below 0
//	exit              sched:sched_process_exit, with what ended the task from
//	                  sys_enter_exit_group, sys_enter_exit and the signals
//	signal_sent       signal:signal_generate
//	signal_delivered  signal:signal_deliver
//	rename            task:task_rename
//
// A row happens when its event does, in the task of its pid, tid and comm: the parent
// of a fork, the sender of a signal. A signal that the kernel itself sends (a timer,
// a fault in an interrupt) bears whatever task was running; signal_code tells.
// execve renames the task, so that a rename comes before each exec.
package lifecycle
