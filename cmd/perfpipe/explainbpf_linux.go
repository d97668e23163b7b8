package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/perfev/bpf"
)

// verify asks the kernel whether it takes the code, and says how long that took it. A
// machine that cannot be asked is no error; code that is refused is.
func (t *codeTrial) verify(w io.Writer) (err error) {
	var maps []*ebpf.Map
	defer func() {
		for _, m := range maps {
			err = errors.Join(err, m.Close())
		}
	}()
	newMap := func(spec *ebpf.MapSpec) (int, error) {
		m, err := ebpf.NewMap(spec)
		if errors.Is(err, unix.EPERM) && rlimit.RemoveMemlock() == nil {
			m, err = ebpf.NewMap(spec)
		}
		if err != nil {
			return 0, err
		}
		maps = append(maps, m)
		return m.FD(), nil
	}
	array := func(bytes int) (int, error) {
		if bytes == 0 {
			return 0, nil
		}
		return newMap(&ebpf.MapSpec{Name: "pp_trial", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(bytes), MaxEntries: 1})
	}
	record, err := array((t.size + 7) &^ 7)
	if err != nil {
		fmt.Fprintf(w, "  verifier: not asked: make a map: %v\n", err)
		return nil
	}
	cpus := runtime.NumCPU()
	mem := bpf.MemoryMaps{CPUs: cpus}
	var errs []error
	put := func(fd int, err error) int {
		errs = append(errs, err)
		return fd
	}
	if m := t.code.Memory; m != nil {
		mem.Cells, mem.CPUCells = put(array(8*len(m.Cells))), put(array(8*len(m.CPUCells)*cpus))
		for _, n := range m.Tables {
			mem.Tables = append(mem.Tables, put(newMap(&ebpf.MapSpec{Name: "pp_trial", Type: ebpf.Hash, KeySize: 8, ValueSize: 8, MaxEntries: uint32(n)})))
		}
	}
	mem.Text = put(array(t.code.Text * cpus))
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		fmt.Fprintf(w, "  verifier: not asked: make a map: %v\n", errs[i])
		return nil
	}
	_, whole, err := t.write(record, mem)
	if err != nil {
		return err
	}
	spec := &ebpf.ProgramSpec{Name: "perfpipe", Type: ebpf.RawTracepoint, Instructions: whole, License: "GPL"}
	began := time.Now()
	prog, err := ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogDisabled: true})
	took := time.Since(began)
	if err != nil {
		level := ebpf.LogLevelBranch
		if errors.Is(err, unix.E2BIG) {
			// Each instruction that it followed would be told, a million and more.
			level = ebpf.LogLevelStats
		}
		prog, err = ebpf.NewProgramWithOptions(spec, ebpf.ProgramOptions{LogLevel: level})
	}
	var refused *ebpf.VerifierError
	switch {
	case err == nil:
		fmt.Fprintf(w, "  verifier: takes it, in %.1f ms\n", float64(took.Microseconds())/1000)
		return prog.Close()
	case errors.As(err, &refused):
		fmt.Fprintf(w, "  verifier: refuses it: %v\n%s", refused.Cause, indented(fmt.Sprintf("%+v", refused)))
		return errors.New("the kernel does not take the filter as a program; record runs it in process instead")
	}
	fmt.Fprintf(w, "  verifier: not asked: %v\n", err)
	return nil
}
