package perfev

import (
	"slices"
	"testing"
)

func TestInheritedAt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		maker []int64
		at    int64
		want  []int64
		whole bool
	}{
		{"before all", []int64{10, 20}, 5, []int64{0, 0}, false},
		{"in between", []int64{10, 20}, 15, []int64{15, 0}, false},
		{"after all", []int64{10, 20}, 25, []int64{25, 25}, true},
		{"at the same time", []int64{10, 20}, 20, []int64{20, 20}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, whole := inheritedAt(tt.maker, tt.at); !slices.Equal(got, tt.want) || whole != tt.whole {
				t.Errorf("got %v %v, want %v %v", got, whole, tt.want, tt.whole)
			}
		})
	}
}
