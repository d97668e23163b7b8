package uprobe

import (
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/uprobe/internal/usdt"
)

// A place that lacks an argument which others have has a null there; an argument that
// no place has is refused.
func TestOperandsThatPlacesLack(t *testing.T) {
	args, err := usdt.ParseOperands("-4@%edi 8@%rsi", nil)
	if err != nil {
		t.Fatal(err)
	}
	full, short := usdt.Site{Args: args}, usdt.Site{Args: args[:1]}
	all := &Probe{Spec: &Spec{}}
	list, err := all.operands(&full, 2, map[string]int{})
	if err != nil || len(list) != 2 || list[1].Null != "" {
		t.Errorf("the place that has both: got %+v, %v", list, err)
	}
	list, err = all.operands(&short, 2, map[string]int{})
	if err != nil || len(list) != 2 || list[0].Null != "" || !strings.Contains(list[1].Null, "no arg1") {
		t.Errorf("the place that has one: got %+v, %v", list, err)
	}
	if len(all.Warnings) != 1 {
		t.Errorf("warnings: got %q, want one", all.Warnings)
	}
	none := &Probe{Spec: &Spec{HasArgs: true, Args: []Arg{{Base: "arg2"}}}}
	if _, err := none.operands(&full, 2, map[string]int{}); err == nil || !strings.Contains(err.Error(), "there are 2 arguments") {
		t.Errorf("arg2: got %v", err)
	}
}
