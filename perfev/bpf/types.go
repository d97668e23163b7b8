package bpf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// Types is what is known of the kernel's types: its BTF, or a test's.
type Types interface {
	// Args describes the arguments of a tracepoint, one word each: the size in bytes of
	// an integer, the name of a struct and "*" for a pointer to one, "*" for any other.
	Args(tracepoint string) ([]string, error)
	// Member is the offset and the size in bytes of a member of a struct; path goes
	// through structs within by ".".
	Member(structName, path string) (offset, size int, err error)
	// Value is that of a name in an enum, in any of them where that is "", and 0 where
	// there is none of that name.
	Value(enum, name string) (uint64, error)
}

// Kernel is the BTF of the running kernel. It is used by one goroutine.
type Kernel struct {
	spec  *btf.Spec
	cache *btf.Cache
}

// LoadKernel reads the BTF of the running kernel. It takes some milliseconds and is
// garbage when it is no longer used.
func LoadKernel() (*Kernel, error) {
	cache := btf.NewCache()
	spec, err := cache.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's types (BTF): %w", err)
	}
	return &Kernel{spec: spec, cache: cache}, nil
}

// Cache has what was read, for programs that are loaded: they look for their
// tracepoints in it.
func (k *Kernel) Cache() *btf.Cache { return k.cache }

var _ Types = (*Kernel)(nil)

// Args implements [Types].
func (k *Kernel) Args(tracepoint string) ([]string, error) {
	var td *btf.Typedef
	if err := k.spec.TypeByName("btf_trace_"+tracepoint, &td); err != nil {
		return nil, fmt.Errorf("the kernel's types do not say what tracepoint %s is given: %w", tracepoint, err)
	}
	ptr, ok := td.Type.(*btf.Pointer)
	if !ok {
		return nil, fmt.Errorf("the type of tracepoint %s is no pointer", tracepoint)
	}
	proto, ok := ptr.Target.(*btf.FuncProto)
	if !ok || len(proto.Params) < 1 {
		return nil, fmt.Errorf("the type of tracepoint %s is no function", tracepoint)
	}
	var list []string
	// The first is the tracepoint's own data.
	for _, p := range proto.Params[1:] {
		list = append(list, argWord(p.Type))
	}
	return list, nil
}

func argWord(t btf.Type) string {
	t = btf.UnderlyingType(t)
	if p, ok := t.(*btf.Pointer); ok {
		if s, ok := btf.UnderlyingType(p.Target).(*btf.Struct); ok {
			return s.Name + "*"
		}
		return "*"
	}
	n, err := btf.Sizeof(t)
	if err != nil {
		return "?"
	}
	return fmt.Sprint(n)
}

// Member implements [Types].
func (k *Kernel) Member(structName, path string) (offset, size int, err error) {
	var s *btf.Struct
	if err := k.spec.TypeByName(structName, &s); err != nil {
		return 0, 0, fmt.Errorf("the kernel's types have no struct %s: %w", structName, err)
	}
	var t btf.Type = s
	for name := range strings.SplitSeq(path, ".") {
		m, at, ok := memberOf(t, name)
		if !ok {
			return 0, 0, fmt.Errorf("struct %s has no member %s in this kernel", structName, path)
		}
		if m.BitfieldSize > 0 || at%8 != 0 {
			return 0, 0, fmt.Errorf("member %s of struct %s is a bitfield", path, structName)
		}
		offset += int(at / 8)
		t = btf.UnderlyingType(m.Type)
	}
	size, err = btf.Sizeof(t)
	return offset, size, err
}

// memberOf looks for a member, in unnamed structs and unions within as well.
func memberOf(t btf.Type, name string) (m btf.Member, bits btf.Bits, ok bool) {
	var list []btf.Member
	switch s := t.(type) {
	case *btf.Struct:
		list = s.Members
	case *btf.Union:
		list = s.Members
	}
	for _, m := range list {
		if m.Name == name {
			return m, m.Offset, true
		}
		if m.Name != "" {
			continue
		}
		if in, at, ok := memberOf(btf.UnderlyingType(m.Type), name); ok {
			return in, m.Offset + at, true
		}
	}
	return m, 0, false
}

// Value implements [Types]. For "" it looks through all types until one has the name.
func (k *Kernel) Value(enum, name string) (uint64, error) {
	if enum == "" {
		for t, err := range k.spec.All() {
			if err != nil {
				return 0, fmt.Errorf("read the kernel's types (BTF): %w", err)
			}
			if v, ok := valueOf(t, name); ok {
				return v, nil
			}
		}
		return 0, nil
	}
	types, err := k.spec.AnyTypesByName(enum)
	if errors.Is(err, btf.ErrNotFound) {
		return 0, nil
	}
	for _, t := range types {
		if v, ok := valueOf(t, name); ok {
			return v, nil
		}
	}
	return 0, err
}

func valueOf(t btf.Type, name string) (uint64, bool) {
	e, ok := t.(*btf.Enum)
	if !ok {
		return 0, false
	}
	for _, v := range e.Values {
		if v.Name == name {
			return v.Value, true
		}
	}
	return 0, false
}

// ReadTask finds where task_struct has what programs read of it.
func ReadTask(k Types) (t Task, err error) {
	want := func(to *int, structName, path string, size int) {
		if err != nil {
			return
		}
		off, n, e := k.Member(structName, path)
		if e != nil {
			err = e
			return
		}
		if n != size {
			err = fmt.Errorf("member %s of struct %s has %d bytes in this kernel, want %d", path, structName, n, size)
		}
		*to = off
	}
	want(&t.TGID, "task_struct", "tgid", 4)
	want(&t.PID, "task_struct", "pid", 4)
	want(&t.Status, "task_struct", "thread_info.status", 4)
	for i, name := range [...]string{"di", "si", "dx", "r10", "r8", "r9"} {
		want(&t.Regs[i], "pt_regs", name, 8)
	}
	for i, name := range [...]string{"bx", "cx", "dx", "si", "di", "bp"} {
		want(&t.Regs32[i], "pt_regs", name, 8)
	}
	want(&t.OrigAX, "pt_regs", "orig_ax", 8)
	return t, err
}
