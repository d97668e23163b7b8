package symbols

import (
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	for _, c := range []struct{ file, name string }{
		{"/usr/bin/node", "uv_run"}, {"/usr/bin/node", "v8::internal::Heap::CollectGarbage"}, {"/usr/bin/node", "node::Start"}, {"/usr/bin/node", "node::Star"},{"/usr/bin/node", "uv_rn"},
		{"/lib/x86_64-linux-gnu/libc.so.6", "memcpy"}, {"/lib/x86_64-linux-gnu/libc.so.6", "memcpy@GLIBC_2.2.5"}, {"/lib/x86_64-linux-gnu/libc.so.6", "memcp"},
	} {
		s := time.Now()
		f, err := Open(c.file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		fns, err := f.Lookup(c.name)
		t.Log(time.Since(s), err)
		for _, fn := range fns {
			t.Logf("%+v", fn)
			if fn.IFunc {
				for _, i := range f.Implementations(fn) {
					t.Log("  ", i.Name, i.Aliases)
				}
			}
		}
		s = time.Now()
		fs, err := f.Funcs()
		t.Log("funcs", len(fs), time.Since(s), err)
		s = time.Now()
		fn, ok := f.At(0xb72000 + 0x5000)
		t.Log("at", fn, ok, time.Since(s), err)
		f.Close()
	}
}
