package insn_test

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/uprobe/internal/insn"
	"github.com/perfpipe/perfpipe/uprobe/symbols"
)

// Every function of real libraries decodes as objdump decodes it: the same
// instructions begin at the same places, and the same ones return.
func TestAgainstObjdump(t *testing.T) {
	objdump := testpriv.NeedTool(t, "objdump")
	tests := []struct {
		name, file string
		// size bounds what is disassembled of .text: node has 27 MB.
		size uint64
		// bad is how many functions of 10,000 may differ: hand-written code keeps data
		// among its instructions, which both sides then misread.
		bad int
	}{
		{"libc", "libc.so.6", 1 << 30, 5},
		{"libm", "libm.so.6", 1 << 30, 0},
		{"libcrypto", "libcrypto.so.3", 1 << 30, 50},
		{"node", "node", 512 << 10, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := open(t, tt.file)
			text := f.ELF().Section(".text")
			end := text.Addr + min(text.Size, tt.size)
			want := disassemble(t, objdump, f.Path(), text.Addr, end)
			funcs, err := f.Funcs()
			if err != nil {
				t.Fatal(err)
			}
			var all, undecoded, differ, returnless int
			for _, fn := range funcs {
				if fn.Addr < text.Addr || fn.Size == 0 || fn.Addr+fn.Size > end {
					continue
				}
				code, err := f.Code(fn)
				if err != nil {
					t.Fatal(err)
				}
				all++
				if _, err := insn.Returns(code); errors.Is(err, insn.ErrNoReturn) {
					returnless++
				} else if err != nil {
					undecoded++
					t.Logf("%s: %v", fn.Name, err)
					continue
				}
				if err := compare(code, fn.Addr, want); err != nil {
					differ++
					t.Logf("%s: %v", fn.Name, err)
				}
			}
			t.Logf("%d functions: %d undecoded, %d unlike objdump, %d without return", all, undecoded, differ, returnless)
			if all == 0 {
				t.Fatal("no functions")
			}
			if got := (undecoded + differ) * 10000; got > tt.bad*all {
				t.Errorf("got %d undecoded and %d unlike objdump of %d functions, want at most %d of 10,000", undecoded, differ, all, tt.bad)
			}
		})
	}
}

func open(t *testing.T, name string) *symbols.File {
	t.Helper()
	o := symbols.Options{Machine: elf.EM_X86_64}
	path, err := symbols.FindLibrary(name, o)
	if err != nil {
		path, err = symbols.FindCommand(name, o)
	}
	if err != nil {
		t.Skip(err)
	}
	f, err := symbols.Open(path, o)
	if errors.Is(err, symbols.ErrMachine) || errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// disassemble returns the address of every instruction, true where it returns.
func disassemble(t *testing.T, objdump, path string, from, to uint64) map[uint64]bool {
	t.Helper()
	cmd := exec.Command(objdump, "-d", "--no-show-raw-insn", "-j", ".text",
		fmt.Sprintf("--start-address=%#x", from), fmt.Sprintf("--stop-address=%#x", to), path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	insns := make(map[uint64]bool)
	for s := bufio.NewScanner(out); s.Scan(); {
		at, text, ok := bytes.Cut(bytes.TrimSpace(s.Bytes()), []byte(":\t"))
		if !ok {
			continue
		}
		addr, err := strconv.ParseUint(string(at), 16, 64)
		if err != nil {
			continue
		}
		words := bytes.Fields(text)
		if len(words) == 0 {
			continue
		}
		returns := false
		for _, w := range words[:min(2, len(words))] {
			switch string(w) {
			case "ret", "retq", "lret", "lretq":
				returns = true
			}
		}
		insns[addr] = returns
		// objdump shows fwait and what it waits for as one instruction (fstcw is 9b and
		// fnstcw). To the processor they are two.
		switch string(words[0]) {
		case "fstcw", "fstsw", "fstenv", "fsave", "finit", "fclex":
			insns[addr+1] = false
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return insns
}

// compare checks the boundaries and the returns of a function.
func compare(code []byte, addr uint64, want map[uint64]bool) error {
	s, err := insn.Scan(code)
	if err != nil {
		return err
	}
	n := 0
	returns := make(map[uint64]bool)
	for _, off := range s.Returns {
		returns[off] = true
	}
	for off := range uint64(len(code)) {
		ret, begins := want[addr+off]
		if begins {
			n++
		}
		if begins && ret != returns[off] {
			return fmt.Errorf("at +%#x: got return %v, want %v", off, returns[off], ret)
		}
	}
	if n != s.Instructions {
		return fmt.Errorf("got %d instructions, want %d", s.Instructions, n)
	}
	// A decoder that is right about every boundary accepts each. It begins anew for each
	// byte, so that long functions are left out.
	if len(code) > 512 {
		return nil
	}
	for off := range uint64(len(code)) {
		_, begins := want[addr+off]
		if err := insn.Boundary(code, off); (err == nil) != begins {
			return fmt.Errorf("boundary at +%#x: got %v, want %v (%w)", off, err == nil, begins, err)
		}
	}
	return nil
}
