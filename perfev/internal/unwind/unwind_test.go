package unwind

import (
	"os"
	"testing"
)

func TestDbg(t *testing.T) {
	f, err := os.Open("/bin/ls")
	if err != nil {
		t.Fatal(err)
	}
	tab, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(tab.fdes), tab.loads)
	for _, f := range tab.fdes[:5] {
		r, ok := f.rowAt(f.begin)
		t.Logf("%x %x %+v %v %+v", f.begin, f.end, r, ok, f.cie)
	}
}
