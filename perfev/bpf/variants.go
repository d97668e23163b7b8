package bpf

import "maps"

// plain is a variant that no task is the other of.
func plain(args string, fields map[string]origin) variant {
	return variant{args: args, fields: fields, other: -1}
}

// with adds fields to others.
func with(fields map[string]origin, more map[string]origin) map[string]origin {
	f := maps.Clone(fields)
	maps.Copy(f, more)
	return f
}

// variants lists what is known of an event, nil for nothing. They follow the
// TP_fast_assign of include/trace/events.
func variants(system, name string) []variant {
	switch system {
	case "sched":
		return schedVariants(name)
	case "raw_syscalls":
		return callVariants(name)
	case "irq":
		return irqVariants(name)
	case "irq_vectors":
		return vectorVariants(name)
	case "timer":
		return timerVariants(name)
	case "kmem":
		return kmemVariants(name)
	case "signal":
		return signalVariants(name)
	}
	return nil
}

// taskFields are comm, pid and prio of the task in the first argument.
func taskFields() map[string]origin {
	return map[string]origin{"comm": member(0, "comm"), "pid": member(0, "pid"), "prio": member(0, "prio")}
}

func schedVariants(name string) []variant {
	switch name {
	case "sched_switch":
		v := plain("1 task_struct* task_struct* 4", map[string]origin{
			"prev_comm": member(1, "comm"), "prev_pid": member(1, "pid"), "prev_prio": member(1, "prio"),
			"prev_state": {kind: KindState, arg: 0, arg2: 3, arg3: 1, path: "exit_state"},
			"next_comm":  member(2, "comm"), "next_pid": member(2, "pid"), "next_prio": member(2, "prio"),
		})
		v.release = frozenRelease
		return []variant{v}
	case "sched_wakeup", "sched_waking", "sched_wakeup_new":
		v := plain("task_struct*", with(taskFields(), map[string]origin{"target_cpu": member(0, "thread_info.cpu")}))
		v.other = 0
		return []variant{v}
	case "sched_stat_runtime":
		return []variant{plain("task_struct* 8", map[string]origin{"comm": member(0, "comm"), "pid": member(0, "pid"), "runtime": arg(1)})}
	case "sched_migrate_task":
		return []variant{plain("task_struct* 4", with(taskFields(), map[string]origin{"orig_cpu": member(0, "thread_info.cpu"), "dest_cpu": arg(1)}))}
	case "sched_process_fork":
		return []variant{plain("task_struct* task_struct*", map[string]origin{
			"parent_comm": member(0, "comm"), "parent_pid": member(0, "pid"), "child_comm": member(1, "comm"), "child_pid": member(1, "pid"),
		})}
	case "sched_process_exit":
		return []variant{
			plain("task_struct* 1", with(taskFields(), map[string]origin{"group_dead": arg(1)})),
			plain("task_struct*", taskFields()),
		}
	case "sched_process_free", "sched_wait_task":
		return []variant{plain("task_struct*", taskFields())}
	case "sched_process_exec":
		return []variant{plain("task_struct* 4 linux_binprm*", map[string]origin{
			"filename": text(2, "filename"), "pid": member(0, "pid"), "old_pid": arg(1),
		})}
	}
	return nil
}

func callVariants(name string) []variant {
	switch name {
	case "sys_enter":
		return []variant{plain("pt_regs* 8", map[string]origin{"id": arg(1), "args": {kind: KindCallArgs}})}
	case "sys_exit":
		return []variant{plain("pt_regs* 8", map[string]origin{"id": {kind: KindCall}, "ret": arg(1)})}
	}
	return nil
}

func irqVariants(name string) []variant {
	switch name {
	case "irq_handler_entry":
		return []variant{plain("4 irqaction*", map[string]origin{"irq": arg(0), "name": text(1, "name")})}
	case "irq_handler_exit":
		return []variant{plain("4 irqaction* 4", map[string]origin{"irq": arg(0), "ret": arg(2)})}
	case "softirq_entry", "softirq_exit", "softirq_raise":
		return []variant{plain("4", map[string]origin{"vec": arg(0)})}
	case "tasklet_entry", "tasklet_exit":
		return []variant{plain("tasklet_struct* *", map[string]origin{"tasklet": arg(0), "func": arg(1)})}
	}
	return nil
}

func vectorVariants(name string) []variant {
	switch name {
	case "local_timer_entry", "local_timer_exit", "spurious_apic_entry", "spurious_apic_exit", "error_apic_entry", "error_apic_exit",
		"x86_platform_ipi_entry", "x86_platform_ipi_exit", "irq_work_entry", "irq_work_exit", "reschedule_entry", "reschedule_exit",
		"call_function_entry", "call_function_exit", "call_function_single_entry", "call_function_single_exit",
		"threshold_apic_entry", "threshold_apic_exit", "deferred_error_apic_entry", "deferred_error_apic_exit",
		"thermal_apic_entry", "thermal_apic_exit":
		return []variant{plain("4", map[string]origin{"vector": arg(0)})}
	}
	return nil
}

func timerVariants(name string) []variant {
	jiffies := origin{kind: KindJiffies}
	switch name {
	case "timer_start":
		return []variant{plain("timer_list* 8", map[string]origin{
			"timer": arg(0), "function": member(0, "function"), "expires": member(0, "expires"), "bucket_expiry": arg(1), "now": jiffies, "flags": member(0, "flags"),
		})}
	case "timer_expire_entry":
		return []variant{plain("timer_list* 8", map[string]origin{"timer": arg(0), "now": jiffies, "function": member(0, "function"), "baseclk": arg(1)})}
	case "timer_init", "timer_expire_exit", "timer_cancel":
		return []variant{plain("timer_list*", map[string]origin{"timer": arg(0)})}
	case "hrtimer_start":
		f := map[string]origin{
			"hrtimer": arg(0), "function": member(0, "function"), "expires": member(0, "node.expires"), "softexpires": member(0, "_softexpires"), "mode": arg(1),
		}
		return []variant{plain("hrtimer* 4", f), plain("hrtimer* 4 1", with(f, map[string]origin{"was_armed": arg(2)}))}
	case "hrtimer_init", "hrtimer_setup":
		return []variant{plain("hrtimer* 4 4", map[string]origin{"hrtimer": arg(0), "clockid": arg(1), "mode": arg(2)})}
	case "hrtimer_expire_entry":
		return []variant{plain("hrtimer* *", map[string]origin{"hrtimer": arg(0), "now": {kind: KindPointed, arg: 1}, "function": member(0, "function")})}
	case "hrtimer_expire_exit", "hrtimer_cancel":
		return []variant{plain("hrtimer*", map[string]origin{"hrtimer": arg(0)})}
	case "tick_stop":
		return []variant{plain("4 4", map[string]origin{"success": arg(0), "dependency": arg(1)})}
	}
	return nil
}

func kmemVariants(name string) []variant {
	f := map[string]origin{"call_site": arg(0), "ptr": arg(1)}
	switch name {
	case "kmalloc":
		return []variant{plain("8 * 8 8 4 4", with(f, map[string]origin{"bytes_req": arg(2), "bytes_alloc": arg(3), "gfp_flags": arg(4), "node": arg(5)}))}
	case "kmem_cache_alloc":
		return []variant{plain("8 * kmem_cache* 4 4", with(f, map[string]origin{
			"name": text(2, "name"), "bytes_req": member(2, "object_size"), "bytes_alloc": member(2, "size"),
			"gfp_flags": arg(3), "node": arg(4), "accounted": {kind: KindFlag, arg: 3, arg2: 2},
		}))}
	case "kmem_cache_free":
		return []variant{plain("8 * kmem_cache*", with(f, map[string]origin{"name": text(2, "name")}))}
	case "kfree":
		return []variant{plain("8 *", f)}
	}
	return nil
}

func signalVariants(name string) []variant {
	// SI_KERNEL is what SEND_SIG_PRIV has for a code.
	info := map[string]origin{
		"sig": arg(0), "errno": {kind: KindSignal, arg: 1, path: "si_errno"}, "code": {kind: KindSignal, arg: 1, path: "si_code", konst: 0x80},
	}
	switch name {
	case "signal_generate":
		return []variant{plain("4 kernel_siginfo* task_struct* 4 4", with(info, map[string]origin{
			"comm": member(2, "comm"), "pid": member(2, "pid"), "group": arg(3), "result": arg(4),
		}))}
	case "signal_deliver":
		return []variant{plain("4 kernel_siginfo* k_sigaction*", with(info, map[string]origin{"sa_handler": member(2, "sa.sa_handler"), "sa_flags": member(2, "sa.sa_flags")}))}
	}
	return nil
}
