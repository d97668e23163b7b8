package perfev

import (
	"runtime"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// callSchema is an event of a system call with so many arguments.
func callSchema(name string, args int) *perfpipe.Schema {
	s := &perfpipe.Schema{System: "syscalls", Name: name, ID: 1, Size: 16 + 8*args}
	s.Fields = append(s.Fields, perfpipe.Field{Name: "__syscall_nr", Offset: bpf.CallNumber, Size: 4, Count: 1})
	for i := range args {
		s.Fields = append(s.Fields, perfpipe.Field{Name: "a", Offset: bpf.CallArgs + 8*i, Size: 8, Count: 1})
	}
	return s
}

func TestCallArgs(t *testing.T) {
	text := callSchema("sys_enter_openat", 3)
	text.Fields[3].Loc = perfpipe.LocData
	tests := []struct {
		name string
		s    *perfpipe.Schema
		n    int
		ok   bool
	}{
		{"none", callSchema("sys_enter_getppid", 0), 0, true},
		{"six", callSchema("sys_enter_mmap", 6), 6, true},
		{"seven", callSchema("sys_enter_mmap", 7), 0, false},
		{"a return", callSchema("sys_exit_mmap", 1), 1, true},
		{"a return with arguments", callSchema("sys_exit_mmap", 2), 0, false},
		{"a text, as newer kernels have it", text, 0, false},
		{"no field", &perfpipe.Schema{System: "syscalls", Name: "sys_enter_x"}, 0, false},
		{"another system", &perfpipe.Schema{System: "sched", Name: "sched_switch"}, 0, false},
	}
	for _, tt := range tests {
		if n, ok := callArgs(tt.s); n != tt.n || ok != tt.ok {
			t.Errorf("%s: got %d, %v, want %d, %v", tt.name, n, ok, tt.n, tt.ok)
		}
	}
}

func TestNoProgramForTracepoint(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("programs are made for x86-64")
	}
	named := func(system, name string) *perfpipe.Schema { return &perfpipe.Schema{System: system, Name: name, ID: 7} }
	tests := []struct {
		name, want string // "" is none
		c          Config
	}{
		{"a known event", "", Config{Events: []Event{{Schema: named("sched", "sched_switch")}}}},
		{"a system call", "", Config{Events: []Event{{Schema: callSchema("sys_enter_read", 3)}}}},
		{"an unknown one", "knows the arguments", Config{Events: []Event{{Schema: named("block", "block_rq_issue")}}}},
		{"an unknown one, forced", "", Config{Engine: EngineBPF, Events: []Event{{Schema: named("block", "block_rq_issue")}}}},
		{"one of interrupts too", "in interrupts too", Config{Events: []Event{{Schema: named("kmem", "kmalloc")}}}},
		{"one of interrupts too, forced", "", Config{Engine: EngineBPF, Events: []Event{{Schema: named("kmem", "kmalloc")}}}},
		{"a filter on flags", "common_flags", Config{Engine: EngineBPF, Events: []Event{{Schema: named("sched", "sched_switch"), ReadsContext: true}}}},
		{"a probe", "no program for it", Config{Events: []Event{{Schema: named("uprobe", "x"), User: true}}}},
		{"a thread", "single threads", Config{Events: []Event{{Schema: named("sched", "sched_switch")}}, Target: Target{TIDs: []int{1}}}},
		{"without later threads", "later threads", Config{Events: []Event{{Schema: named("sched", "sched_switch")}}, Target: Target{PIDs: []int{1}, NoInherit: true}}},
	}
	for _, tt := range tests {
		switch err := tt.c.noProgram(0); {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
