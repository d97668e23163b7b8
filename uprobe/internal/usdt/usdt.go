// Package usdt reads the static probes of a program (SystemTap's stapsdt notes, made
// by sys/sdt.h) and says in the kernel's words where their arguments are. It reads
// files and text alone, and runs on every operating system.
//
// The format: https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation
package usdt

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"slices"
)

// Probe is one static probe: all the places of a file that bear its two names.
type Probe struct {
	// Provider and Name are as the program's author wrote them ("query__start").
	Provider, Name string
	// Sites are the places, by address; at least one.
	Sites []Site
}

// Site is one place of a probe. The compiler makes several of one probe where it
// inlines or unrolls, and each may have its arguments elsewhere.
type Site struct {
	// Vaddr is the address in the file, Offset the offset in it: that of the
	// instruction (a nop) that the probe goes to.
	Vaddr, Offset uint64
	// SemaphoreVaddr is the address of the u16 that counts who is watching, 0 for
	// none; the program may skip the probe's code while it is 0. SemaphoreOffset is
	// its offset in the file, through its own PT_LOAD: what stands in parentheses
	// behind the probe's offset in uprobe_events. It is 0 for none, and where no
	// segment holds it.
	SemaphoreVaddr, SemaphoreOffset uint64
	// Args are the arguments, in their order.
	Args []Operand
}

// Read returns the static probes of f, sorted by provider and name; none is no
// error. Symbols in operands are looked up in f's own tables.
//
// What it could read it returns even beside an error, which then names each note
// that it could not.
func Read(f *elf.File) ([]Probe, error) {
	return ReadSymbols(f, symbolTable(f))
}

// ReadSymbols is [Read] with the caller's symbols, such as those of a separate debug
// file: resolve returns the address (st_value) that f gives to a name.
func ReadSymbols(f *elf.File, resolve func(name string) (vaddr uint64, ok bool)) ([]Probe, error) {
	notes, err := readNotes(f)
	errs := []error{err}
	machine := machineReason(f.Machine)
	base, hasBase := uint64(0), false
	if s := f.Section(".stapsdt.base"); s != nil {
		base, hasBase = s.Addr, true
	}
	byName := map[[2]string][]Site{}
	for _, n := range notes {
		if hasBase {
			n.rebase(base)
		}
		load := segmentAt(f, n.pc, elf.PF_X)
		if load == nil {
			errs = append(errs, fmt.Errorf("read static probe %s:%s: no code of the file is at its address %#x", n.provider, n.name, n.pc))
			continue
		}
		s := Site{Vaddr: n.pc, Offset: n.pc - load.Vaddr + load.Off, SemaphoreVaddr: n.semaphore}
		if n.semaphore != 0 {
			if own := segmentAt(f, n.semaphore, 0); own != nil {
				s.SemaphoreOffset = n.semaphore - own.Vaddr + own.Off
			}
		}
		s.Args = siteArgs(n.args, machine, load, resolve)
		key := [2]string{n.provider, n.name}
		byName[key] = append(byName[key], s)
	}
	return group(byName), errors.Join(errs...)
}

// siteArgs reads the operands of a site in the segment load.
func siteArgs(text, machine string, load *elf.ProgHeader, resolve func(string) (uint64, bool)) []Operand {
	args, err := ParseOperands(text, func(name string) (uint64, bool) {
		vaddr, ok := resolve(name)
		// The kernel finds @+N from where the probe's own instruction is mapped
		// (translate_user_vaddr, kernel/trace/trace_uprobe.c): N is the offset that
		// the variable would have, were it in the same segment as the code.
		return vaddr - load.Vaddr + load.Off, ok
	})
	if err != nil {
		return []Operand{{Text: text, Size: 8, Reason: err.Error()}}
	}
	if machine != "" {
		for i := range args {
			args[i] = args[i].without(machine)
		}
	}
	return args
}

func group(byName map[[2]string][]Site) []Probe {
	probes := make([]Probe, 0, len(byName))
	for key, sites := range byName {
		slices.SortStableFunc(sites, func(a, b Site) int { return cmp.Compare(a.Vaddr, b.Vaddr) })
		probes = append(probes, Probe{Provider: key[0], Name: key[1], Sites: sites})
	}
	slices.SortFunc(probes, func(a, b Probe) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Name, b.Name))
	})
	return probes
}

// segmentAt returns the PT_LOAD whose bytes in the file hold vaddr, with all of flags.
func segmentAt(f *elf.File, vaddr uint64, flags elf.ProgFlag) *elf.ProgHeader {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&flags == flags && vaddr >= p.Vaddr && vaddr-p.Vaddr < p.Filesz {
			return &p.ProgHeader
		}
	}
	return nil
}

// machineReason returns why operands of that machine cannot be read, or "".
func machineReason(m elf.Machine) string {
	if m == elf.EM_X86_64 {
		return ""
	}
	return fmt.Sprintf("arguments are read on x86-64 alone, and the file is for %s", m)
}

// symbolTable returns a lookup in f's .symtab, then its .dynsym. Static variables
// may share a name; such a one is not found, as nothing says which is meant.
func symbolTable(f *elf.File) func(string) (uint64, bool) {
	var byName map[string]uint64
	var several map[string]bool
	return func(name string) (uint64, bool) {
		if byName == nil {
			byName, several = map[string]uint64{}, map[string]bool{}
			full, _ := f.Symbols()
			dynamic, _ := f.DynamicSymbols()
			for _, s := range slices.Concat(full, dynamic) {
				if s.Section == elf.SHN_UNDEF || s.Section >= elf.SHN_LORESERVE || elf.ST_TYPE(s.Info) == elf.STT_TLS {
					continue
				}
				if v, ok := byName[s.Name]; ok && v != s.Value {
					several[s.Name] = true
				}
				byName[s.Name] = s.Value
			}
		}
		v, ok := byName[name]
		return v, ok && !several[name]
	}
}
