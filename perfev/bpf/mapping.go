package bpf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// origin is where a field of an event comes from, as the event's TP_fast_assign says it.
type origin struct {
	kind Kind
	arg  int
	path string
	// arg2 and arg3 are those of the kind.
	arg2, arg3 int
	konst      int32
}

// variant is an event with arguments of certain types: what kernels call by one name
// differs between releases.
type variant struct {
	// args are as [Types] tells them.
	args string
	// fields are by name, for each name that the event has on any kernel.
	fields map[string]origin
	// other is the argument of the task that the event happens to, -1 for none
	// (__perf_task).
	other int
	// release is the first kernel whose assignments these are, as major<<8 | minor.
	release int
}

func arg(n int) origin                 { return origin{kind: KindArg, arg: n} }
func member(n int, path string) origin { return origin{kind: KindMember, arg: n, path: path} }
func text(n int, path string) origin   { return origin{kind: KindText, arg: n, path: path} }

// Release numbers from which on a task that is frozen is told as uninterruptible.
const frozenRelease = 6<<8 | 7

// Knows reports whether [MapTrace] knows an event by its name; it may still refuse what
// the running kernel makes of it.
func Knows(s *perfpipe.Schema) bool { return variants(s.System, s.Name) != nil }

// Nests reports whether an event can happen in an interrupt while it happens: the kernel
// then does not run the program a second time. Of the others those that happen in
// interrupts are made with interrupts off (wake-ups, timers, signals), or in a context
// that does not interrupt itself (interrupts, system calls).
func Nests(s *perfpipe.Schema) bool {
	switch s.Name {
	case "timer_init", "hrtimer_init", "hrtimer_setup", "sched_process_free":
		return true
	case "hrtimer_expire_entry", "hrtimer_expire_exit":
		// Those that softirqs run are told with interrupts on (__run_hrtimer).
		return true
	}
	return s.System == "kmem"
}

// MapTrace finds how the fields of an event come from the arguments of its tracepoint.
// release is the kernel's, major<<8 | minor. An error says what is not known: then the
// event is another engine's.
func MapTrace(s *perfpipe.Schema, k Types, release int) (*Trace, error) {
	list := variants(s.System, s.Name)
	if list == nil {
		return nil, errors.New("no program of ours knows the arguments of its tracepoint")
	}
	name := tracepointName(s)
	args, err := k.Args(name)
	if err != nil {
		return nil, err
	}
	got := strings.Join(args, " ")
	at := slices.IndexFunc(list, func(v variant) bool { return v.args == got && v.release <= release })
	if at < 0 {
		return nil, fmt.Errorf("this kernel gives tracepoint %s other arguments (%s) than are known, or assigns them otherwise", name, got)
	}
	return list[at].mapTo(s, k, args, name)
}

// tracepointName is the kernel's name of the event's tracepoint, which is mostly the event's.
func tracepointName(s *perfpipe.Schema) string { return s.Name }

func (v *variant) mapTo(s *perfpipe.Schema, k Types, args []string, name string) (*Trace, error) {
	t := &Trace{Tracepoint: name, Type: s.ID, Size: s.Size, Other: v.other}
	pid := s.Field("common_pid")
	if pid == nil || pid.Size != 4 {
		return nil, errors.New("its format has no common_pid")
	}
	t.PID = pid.Offset
	for i := range s.Fields {
		f := &s.Fields[i]
		o, ok := v.fields[f.Name]
		if !ok {
			return nil, fmt.Errorf("its field %s is not known", f.Name)
		}
		val, err := o.value(f, k, args)
		if err != nil {
			return nil, fmt.Errorf("its field %s: %w", f.Name, err)
		}
		t.Values = append(t.Values, val)
	}
	return t, nil
}

// structOf is the name of the struct that an argument points to.
func structOf(args []string, n int) (string, error) {
	if n >= len(args) {
		return "", fmt.Errorf("the tracepoint has no argument %d", n)
	}
	name, ok := strings.CutSuffix(args[n], "*")
	if !ok || name == "" {
		return "", fmt.Errorf("argument %d of the tracepoint points to no struct", n)
	}
	return name, nil
}

// value makes a Value of a field.
func (o origin) value(f *perfpipe.Field, k Types, args []string) (v Value, err error) {
	if f.Loc == perfpipe.LocRel {
		return v, errors.New("it is a __rel_loc")
	}
	v = Value{Offset: f.Offset, Size: f.Size, Kind: o.kind, Arg: o.arg, Arg2: o.arg2, Arg3: o.arg3, Const: o.konst}
	size := f.Size
	switch o.kind {
	case KindMember, KindText:
		var name string
		if name, err = structOf(args, o.arg); err == nil {
			v.Member, size, err = k.Member(name, o.path)
		}
	case KindState:
		v.Member, _, err = k.Member("task_struct", o.path)
	case KindSignal:
		v.Member, size, err = k.Member("kernel_siginfo", o.path)
	case KindFlag:
		err = v.account(k, args)
	case KindArg, KindPointed, KindJiffies, KindCall, KindCallArgs:
	case KindMemberText:
	}
	if err != nil {
		return v, err
	}
	switch dynamic := f.Loc == perfpipe.LocData; {
	case o.kind == KindText:
		if !dynamic || f.Kind != perfpipe.KindString || size != 8 {
			return v, errors.New("it is no text of any length")
		}
	case dynamic && o.kind == KindMember:
		v.Kind, v.Width = KindMemberText, size
	case dynamic:
		return v, errors.New("it is of any length")
	case size > f.Size:
		return v, fmt.Errorf("it has %d bytes, what it is taken from %d", f.Size, size)
	default:
		v.Width = size
		if size < f.Size && f.Signed {
			return v, fmt.Errorf("it has %d bytes with a sign, what it is taken from %d", f.Size, size)
		}
	}
	return v, nil
}

// account is whether memory is accounted: by the flags of the request or of the cache.
func (v *Value) account(k Types, args []string) error {
	name, err := structOf(args, v.Arg2)
	if err != nil {
		return err
	}
	var size int
	if v.Member, size, err = k.Member(name, "flags"); err != nil {
		return err
	}
	if size != 4 {
		return fmt.Errorf("the flags of struct %s have %d bytes, want 4", name, size)
	}
	gfp, err := k.Value("", "___GFP_ACCOUNT_BIT")
	if err != nil {
		return err
	}
	slab, err := k.Value("_slab_flag_bits", "_SLAB_ACCOUNT")
	if err != nil {
		return err
	}
	if gfp == 0 || gfp > 30 {
		return errors.New("this kernel's types do not tell the flag of accounted memory")
	}
	v.Const = 1 << gfp
	switch {
	case slab > 30:
		return errors.New("this kernel's types do not tell the flag of accounted caches")
	case slab > 0:
		v.Const2 = 1 << slab
	default:
		// Without memory control groups nothing is accounted.
		v.Const = 0
	}
	return nil
}
