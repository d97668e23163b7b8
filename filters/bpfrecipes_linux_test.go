package filters

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// recipeRecord makes a record such as the manual's programs look for: few threads, small
// numbers, calls and errors that are common.
func recipeRecord(r *rand.Rand, s *perfpipe.Schema, now int64) *perfpipe.Record {
	numbers := []int64{0, 0, 1, 1, 2, 3, 3, 4, 5, 9, 14, 39, 59, 64, 100, 128, 202, 257, 1000, 4096, 70_000, 3_000_000, -1, -2, -2, -2, -11, -13, -110}
	words := []string{"", "bash", "postgres", "kworker/0:1", "/etc/passwd", "/proc/self/stat", "nvme0n1"}
	raw := make([]byte, s.Size)
	put := func(f *perfpipe.Field) {
		n := int64(r.IntN(5))
		if f.Name != "common_pid" && f.Name != "pid" && f.Name != "next_pid" && f.Name != "prev_pid" {
			n = numbers[r.IntN(len(numbers))]
		}
		b := binary.LittleEndian.AppendUint64(nil, uint64(n))
		switch {
		case f.Loc != perfpipe.LocStatic:
			text := words[r.IntN(len(words))] + "\x00"
			at := len(raw)
			if f.Loc == perfpipe.LocRel {
				at -= f.Offset + 4
			}
			raw = append(raw, text...)
			binary.LittleEndian.PutUint32(raw[f.Offset:], uint32(len(text))<<16|uint32(at))
		case f.Kind == perfpipe.KindString:
			copy(raw[f.Offset:f.Offset+f.Size-1], words[r.IntN(len(words))])
		case f.Array && f.ElemSize == 1 && f.Size >= 4:
			copy(raw[f.Offset:], []byte{byte(9 + r.IntN(2)), 0, 0, 1}) // an address
		default:
			for at := f.Offset; at < f.Offset+f.Size; at += f.ElemSize {
				copy(raw[at:at+f.ElemSize], b)
			}
		}
	}
	for i := range s.Fields {
		put(&s.Fields[i])
	}
	pid := s.Field("common_pid")
	put(pid)
	tid := int32(binary.LittleEndian.Uint32(raw[pid.Offset:]))
	comm := words[r.IntN(len(words))]
	return &perfpipe.Record{Time: now, Raw: raw, Comm: comm, PID: tid &^ 1, TID: tid, CPU: uint16(r.IntN(4))}
}

// recipe is one clause of a program, in process and in the kernel.
type recipe struct {
	p *Program
	b *bpfTrial
}

// TestBPFCookbookSame: the manual's programs say the same of the same stream of records in
// process and in the kernel, with what their clauses share: verdict, fault, use of the
// budget, emitted values.
func TestBPFCookbookSame(t *testing.T) {
	testpriv.Need(t)
	fs := liveTracefs(t)
	titles, texts := cookbook(t)
	for _, title := range titles {
		t.Run(title, func(t *testing.T) {
			compareRecipe(t, fs, texts[title])
		})
	}
}

func compareRecipe(t *testing.T, fs *tracefs.FS, text string) {
	set, err := ParseSet(text)
	if err != nil {
		t.Fatal(err)
	}
	var list []recipe
	for i, c := range set.Clauses() {
		for _, event := range c.Events {
			s, err := fs.SchemaOf(event)
			if err != nil {
				continue // not an event of this kernel
			}
			p, err := set.Compile(i, s, Options{})
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, recipe{p: p})
		}
	}
	var mem *bpfMemory
	for i := range list {
		f, err := list[i].p.BPF()
		if err != nil {
			t.Fatal(err)
		}
		if mem == nil {
			if mem, err = newBPFMemory(f.Memory, 1<<15); err != nil {
				t.Fatal(err)
			}
			defer mem.close()
		}
		if f.Text > 1<<15 {
			t.Fatalf("it wants %d bytes for texts", f.Text)
		}
		if list[i].b, err = newBPFTrial(t, f, mem, list[i].p.schema.Size+512, trialMode{left: true}); err != nil {
			t.Fatalf("%s: %v", list[i].p.schema.Event(), err)
		}
		defer list[i].b.close()
	}
	if len(list) == 0 {
		t.Skip("this kernel has none of its events")
	}
	r := rand.New(rand.NewPCG(11, uint64(len(text))))
	now, kept, rows := int64(1_000_000_000), 0, 8000
	for i := range rows {
		k := &list[r.IntN(len(list))]
		now += int64(r.IntN(4_000_000) >> (6 * (i * 4 / rows))) // denser and denser
		rec := recipeRecord(r, k.p.schema, now)
		want := inProcess(k.p, rec)
		got, err := k.b.run(k.p, rec)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("%s\n%x: the kernel says %+v, want %+v", k.p.schema.Event(), rec.Raw, got, want)
		}
		if got.ok {
			kept++
		}
	}
	t.Logf("%d of %d records kept", kept, rows)
	if kept == 0 {
		t.Error("no record was kept: the test tests nothing")
	}
}
