package form

import (
	"maps"
	"testing"

	"github.com/perfpipe/perfpipe"
)

func TestLost(t *testing.T) {
	sum := perfpipe.Summary{Lost: 12, LostBy: map[string]map[string]uint64{"a:b": {"ring_full": 4, "corrupt": 1, "overwritten": 1000, "paused": 7}, "a:c": {"ring_full": 5}, "": {"corrupt": 2}}}
	for _, tt := range []struct {
		event string
		sum   perfpipe.Summary
		want  map[string]string
	}{
		{"a:b", sum, map[string]string{"lost": "5", "lost.unattributed": "2"}},
		{"a:b,a:c", sum, map[string]string{"lost": "10", "lost.unattributed": "2"}},
		{"a:x", sum, map[string]string{"lost": "0", "lost.unattributed": "2"}},
		{"", sum, map[string]string{"lost": "12"}},
		{"a:b", perfpipe.Summary{}, map[string]string{"lost": "0"}},
	} {
		if got := Lost(&perfpipe.Table{Meta: map[string]string{"event": tt.event}}, tt.sum); !maps.Equal(got, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.event, got, tt.want)
		}
	}
}
