package insn

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The lengths are those that GNU objdump gives.
func TestDecode(t *testing.T) {
	tests := []struct {
		name, code string
		kind       kind
	}{
		{"push", "55", next},
		{"endbr64", "f30f1efa", next},
		{"mov imm64", "48b8 0102030405060708", next},
		{"mov imm32", "b8 01020304", next},
		{"mov imm16", "66b8 0102", next},
		{"movabs moffs", "a1 0102030405060708", next},
		{"movabs moffs, addr32", "67a1 01020304", next},
		{"sib without base", "8b0425 00000000", next},
		{"rip relative", "488d05 01020304", next},
		{"sib disp8", "8b442408", next},
		{"test imm", "f6c101", next},
		{"not", "f6d1", next},
		{"test imm32", "f7c1 01020304", next},
		{"test imm16", "66f7c1 0102", next},
		{"rex.w after 66", "6648c7c0 01020304", next},
		{"rex before 66 counts for nothing", "4866c7c0 0102", next},
		{"call", "e8 01020304", next},
		{"call with data16 (TLS)", "666648e8 01020304", next},
		{"call by register", "ffd0", next},
		{"ret", "c3", ret},
		{"rep ret", "f3c3", ret},
		{"bnd ret", "f2c3", ret},
		{"ret imm16", "c20800", ret},
		{"jmp rel8", "eb05", jump},
		{"jmp rel32", "e9 01020304", jump},
		{"bnd jmp", "f2e9 01020304", jump},
		{"notrack jmp", "3effe0", jumpFar},
		{"jmp by memory", "ff25 01020304", jumpFar},
		{"je rel8", "7405", branch},
		{"je rel32", "0f84 01020304", branch},
		{"loop", "e2fe", branch},
		{"ud2", "0f0b", stop},
		{"hlt", "f4", stop},
		{"enter", "c8 0102 03", next},
		{"nopw", "66662e0f1f840000000000", next},
		{"syscall", "0f05", next},
		{"mov cr", "0f20c0", next},
		{"pshufd", "660f70c0e4", next},
		{"palignr", "660f3a0fc108", next},
		{"pshufb", "660f3800c1", next},
		{"rdsspq", "f3480f1ec8", next},
		{"wrpkru", "0f01ef", next},
		{"xbegin", "c7f8 01020304", next},
		{"xabort", "c6f8ff", next},
		{"fnstcw", "d97c240e", next},
		{"vzeroupper", "c5f877", next},
		{"vmovdqu", "c5fe6f06", next},
		{"vpcmpeqb rip", "c5fd7405 01020304", next},
		{"vpshufd imm", "c5f970c0e4", next},
		{"vpermq imm (map 3)", "c4e3fd00c04e", next},
		{"vpbroadcastb (map 2)", "c4e27d78c0", next},
		{"kortestd", "c4e1f998c0", next},
		{"evex vmovdqu64", "62f1fe486f06", next},
		{"evex disp8", "62f1fe486f4601", next},
		{"evex vpternlogd imm (map 3)", "62f37d4825c0ff", next},
		{"evex vpcmpub imm (map 3)", "62f37d203ec100", next},
		{"evex fp16 (map 5)", "62f57c4858c1", next},
		{"xop vprotb imm", "8fe878c0c103", next},
		{"pop memory", "8f00", next},
		{"extrq", "660f78c00102", next},
		{"3dnow", "0f0fc19e", next},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := unhex(t, tt.code)
			in, err := decode(append(code[:len(code):len(code)], make([]byte, 20)...))
			if err != nil || in.len != len(code) || in.kind != tt.kind {
				t.Errorf("got length %d, kind %d, error %v, want %d, %d", in.len, in.kind, err, len(code), tt.kind)
			}
			for n := range code {
				if _, err := decode(code[:n]); err == nil && !shorterIsWhole(code[:n]) {
					t.Errorf("got no error for its first %d bytes", n)
				}
			}
		})
	}
}

// shorterIsWhole: the first bytes of some instructions are instructions.
func shorterIsWhole(b []byte) bool {
	in, err := decode(b)
	return err == nil && in.len < len(b)
}

func TestDecodeRefuses(t *testing.T) {
	for _, s := range []string{"06", "0e", "60", "82c001", "9a", "ce", "d5", "d6", "ea", "0f04", "0f0a", "0f24c0", "c4e478c0c0", "62f4fc18c0", "8fec78c0c0", strings.Repeat("66", 15) + "90"} {
		if in, err := decode(append(unhex(t, s), make([]byte, 20)...)); err == nil {
			t.Errorf("%s: got length %d, want an error", s, in.len)
		}
	}
}

// f begins with endbr64, has two returns, a branch, and leaves by a jump.
const f = "f30f1efa 55 4885ff 7402 5d c3 e9f0ffffff e8 01020304 f3c3"

func TestScan(t *testing.T) {
	got, err := Scan(unhex(t, f))
	want := Scanned{Returns: []uint64{11, 22}, Entry: 4, Instructions: 9}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = Scan(unhex(t, "7480 eb02 ffe0 e9 00010000"))
	want = Scanned{TailCalls: []TailCall{{0, -126, true}, {6, 267, false}}, Indirect: []uint64{4}, Instructions: 4}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestReturns(t *testing.T) {
	if got, err := Returns(unhex(t, f)); err != nil || !reflect.DeepEqual(got, []uint64{11, 22}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := Returns(unhex(t, "e8 01020304 0f0b")); !errors.Is(err, ErrNoReturn) || err.Error() != "no return instruction: the function never returns" {
		t.Errorf("got %v", err)
	}
	if _, err := Returns(unhex(t, "e9 01020304")); !errors.Is(err, ErrNoReturn) || err.Error() != "no return instruction: the function leaves by 1 jumps" {
		t.Errorf("got %v", err)
	}
	if got, err := Returns(unhex(t, "c3 06")); err == nil || got != nil || err.Error() != "decode the instruction at +0x1 (06): unknown instruction" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := Returns(unhex(t, "c3 e801")); err == nil || err.Error() != "decode the instruction at +0x1 (e801): the code ends within an instruction" {
		t.Errorf("got %v", err)
	}
	if _, err := Returns(nil); !errors.Is(err, ErrNoReturn) {
		t.Errorf("got %v", err)
	}
}

func TestBoundary(t *testing.T) {
	code := unhex(t, f)
	begins := map[uint64]bool{0: true, 4: true, 5: true, 8: true, 10: true, 11: true, 12: true, 17: true, 22: true}
	for off := range uint64(len(code)) {
		if err := Boundary(code, off); (err == nil) != begins[off] {
			t.Errorf("+%#x: got %v, want an instruction there: %v", off, err, begins[off])
		}
	}
	if err := Boundary(code, 14); err == nil || err.Error() != "no instruction begins at +0xe: the nearest begin at +0xc and +0x11" {
		t.Errorf("got %v", err)
	}
	if err := Boundary(code, 24); err == nil || err.Error() != "offset +0x18 is beyond the function, which has 24 bytes (0x18)" {
		t.Errorf("got %v", err)
	}
	if err := Boundary(unhex(t, "c3 06 c3"), 2); err == nil {
		t.Error("got no error behind an unknown instruction")
	}
	if err := Boundary(unhex(t, "c3 06 c3"), 0); err != nil {
		t.Errorf("got %v before an unknown instruction", err)
	}
}

func TestEntryOffset(t *testing.T) {
	for s, want := range map[string]uint64{f: 4, "55c3": 0, "f30f1efa": 0, "f30f1efb55": 0, "": 0} {
		if got := EntryOffset(unhex(t, s)); got != want {
			t.Errorf("%s: got %d, want %d", s, got, want)
		}
	}
}

// x86asm is another decoder. What it knows, it must not see otherwise.
func TestAgainstX86asm(t *testing.T) {
	code := unhex(t, f)
	for op := range 256 {
		for modrm := range 256 {
			for _, prefix := range [][]byte{nil, {0x66}, {0x48}, {0x67}, {0x0f}, {0x66, 0x0f}, {0x48, 0x0f}} {
				b := append(append(append([]byte(nil), prefix...), byte(op), byte(modrm)), code...)
				x, err := x86asm.Decode(b, 64)
				if err != nil || x.Op == 0 || len(prefix) > 0 && prefix[0] == 0x66 && relative(x) {
					// With 66 AMD's processors take branches of 16 bits, Intel's do not.
					continue
				}
				if x.Opcode>>24 == 0x0f && x.Opcode>>16&0xf8 == 0x20 {
					// Moves of control registers: x86asm reads a memory operand, which the
					// SDM and objdump do not ("mod is ignored"), and knows test registers.
					continue
				}
				if in, err := decode(b); err != nil || in.len != x.Len {
					t.Errorf("% x: got length %d, %v, want %d (%v)", b, in.len, err, x.Len, x)
				}
			}
		}
	}
}

func relative(x x86asm.Inst) bool {
	for _, a := range x.Args {
		if _, ok := a.(x86asm.Rel); ok {
			return true
		}
	}
	return false
}

func FuzzScan(fz *testing.F) {
	fz.Add(unhex(fz, f), uint64(3))
	fz.Add(unhex(fz, "c5fe6f06 62f1fe486f06 c3"), uint64(4))
	fz.Add(unhex(fz, "8fe878c0c103 c20800"), uint64(0))
	fz.Fuzz(func(t *testing.T, code []byte, off uint64) {
		s, err := Scan(code)
		last := int64(-1)
		for _, r := range s.Returns {
			if int64(r) <= last || r >= uint64(len(code)) {
				t.Fatalf("got returns %v of %d bytes", s.Returns, len(code))
			}
			last = int64(r)
			if e := Boundary(code, r); e != nil {
				t.Fatalf("a return is at no boundary: %v", e)
			}
		}
		for _, c := range s.TailCalls {
			if c.Off >= uint64(len(code)) || c.Target >= 0 && c.Target < int64(len(code)) {
				t.Fatalf("got %+v of %d bytes", c, len(code))
			}
		}
		var b *BoundaryError
		if e := Boundary(code, off); errors.As(e, &b) {
			if b.Before >= off || b.After <= off || b.After > uint64(len(code)) {
				t.Fatalf("got %+v of %d bytes", b, len(code))
			}
			if e := Boundary(code, b.Before); e != nil {
				t.Fatalf("no boundary before: %v", e)
			}
		}
		var u *UndecodedError
		if errors.As(err, &u) && (u.Off >= uint64(len(code)) || len(u.Bytes) == 0) {
			t.Fatalf("got %+v of %d bytes", u, len(code))
		}
	})
}
