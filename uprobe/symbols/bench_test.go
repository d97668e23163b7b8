package symbols

import "testing"

// BenchmarkLookup opens a program and finds one function, cold but for the page
// cache: node has 109,000 symbols in .symtab and 75,000 in .dynsym.
func BenchmarkLookup(b *testing.B) {
	path, err := FindCommand("node", Options{})
	if err != nil {
		b.Skip(err)
	}
	for _, bb := range []struct{ name, fn string }{
		{"symbol", "uv_run"},
		{"demangled", "v8::internal::Heap::CollectGarbage"},
		{"signature", "node::Start(int, char**)"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.Lookup(bb.fn); err != nil {
					b.Fatal(err)
				}
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAt(b *testing.B) {
	path, err := FindCommand("node", Options{})
	if err != nil {
		b.Skip(err)
	}
	f := mustOpen(b, path, Options{})
	text := f.ELF().Section(".text")
	f.At(text.Addr)
	var i uint64
	b.ReportAllocs()
	for b.Loop() {
		i += 0x10007
		f.At(text.Addr + i%text.Size)
	}
}

func BenchmarkIndex(b *testing.B) {
	path, err := FindCommand("node", Options{})
	if err != nil {
		b.Skip(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f := mustOpen(b, path, Options{})
		f.At(f.ELF().Section(".text").Addr)
	}
}
