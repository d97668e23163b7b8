package filters

import (
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func TestNamedFields(t *testing.T) {
	s := &perfpipe.Schema{System: "uprobe", Name: "libc", Size: 12, Common: commonFields(), Fields: []perfpipe.Field{
		{Name: "func", CType: "name", Offset: 8, Size: 4, ElemSize: 4, Count: 1, Kind: perfpipe.KindUint,
			Symbols: []perfpipe.Symbol{{Name: "memcpy", Value: 1}, {Name: "memmove", Value: 1}, {Name: "memset", Value: 2}, {Name: "free", Value: 7}}},
	}}
	for _, tt := range []struct{ src, values, pushed string }{
		{`func == "memcpy"`, "1", "func == 1"},
		{`func == memset`, "2", "func == 2"},
		{`func != "free"`, "0 1 2", "func != 7"},
		{`func ~ "mem*"`, "1 2", "func >= 1 && func <= 2"},
		{`func ~ "!mem*"`, "0 7", "func < 1 || func > 2"},
		{`func ~ "x*"`, "", "common_type & 0"},
		{`func in {free, 1}`, "1 7", "func == 1 || func == 7"},
	} {
		p, err := Compile(tt.src, s, Options{})
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		var got []string
		for _, v := range []byte{0, 1, 2, 7} {
			if ok, _ := p.Match(&perfpipe.Record{Raw: []byte{0, 0, 0, 0, 0, 0, 0, 0, v, 0, 0, 0}}); ok {
				got = append(got, string('0'+v))
			}
		}
		if push := p.Push(newKernel); strings.Join(got, " ") != tt.values || push.Text != tt.pushed || !push.Exact {
			t.Errorf("%s: true for %v and pushed %q, exact %v, want %s and %q", tt.src, got, push.Text, push.Exact, tt.values, tt.pushed)
		}
	}
	for src, want := range map[string]string{`func == "memmove"`: "it is one of memcpy memset free", `func < "x"`: "expected an integer"} {
		if _, err := Compile(src, s, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", src, err, want)
		}
	}
}
