package perfev

import (
	"os"
	"testing"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// TestCodeReadsTexts: programs that look at texts keep the records that the evaluator
// keeps of them, and no others: what a filter and its opposite keep is everything.
func TestCodeReadsTexts(t *testing.T) {
	testpriv.Need(t)
	const long = "exec /bin/./././././././././././././././././././././././././././././././././././././././././././././true"
	load := func() {
		for _, command := range []string{"/bin/true", long, "/bin/true"} {
			_, goOn := shell(t, command)
			goOn()
		}
	}
	for _, tt := range []struct {
		event, text, opposite string
		want                  int // records of the filter, -1 where others make some as well
	}{
		{"sched:sched_process_exec", `filename == "/bin/true"`, `filename != "/bin/true"`, 2},
		{"sched:sched_process_exec", `filename ~ "/bin/./*"`, `!(filename ~ "/bin/./*")`, 1},
		{"sched:sched_process_exec", `filename ~ "*/./?rue"`, `!(filename ~ "*/./?rue")`, 1},
		{"sched:sched_process_exec", `strlen(filename) > 60`, `strlen(filename) <= 60`, 1},
		{"sched:sched_process_exec", `contains(filename, $comm)`, `!contains(filename, $comm)`, 6},
		{"sched:sched_process_exec", `{ string s = filename; if (strlen(s) > 60) s = "x"; return hash(s) == hash("x"); }`, `hash(filename) == hash("x") || strlen(filename) < 60`, 1},
		{"task:task_rename", `newcomm == "true"`, `newcomm != "true"`, 3},
		{"task:task_rename", `newcomm ~ "*ru*" && startswith(newcomm, "t")`, `!(newcomm ~ "*ru*" && startswith(newcomm, "t"))`, 3},
		{"sched:sched_switch", `prev_comm ~ "*u[d-f]" || next_comm == "true"`, `prev_comm != "true" && strlen(next_comm) != 4`, -1},
	} {
		for i, text := range []string{tt.text, tt.opposite} {
			cfg := Config{Engine: EngineBPF, Events: eventsOf(t, tt.event), Target: Target{PIDs: []int{os.Getpid()}}, KeepSelf: true}
			k, s := decided(t, cfg, load, text, filters.Options{})
			if !s.Decides(0) || s.Undecided(0) != nil {
				t.Errorf("%s: no program decides: %v", text, s.Undecided(0))
				continue
			}
			p, err := filters.Compile(text, cfg.Events[0].Schema, filters.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for j := range k.records {
				if ok, fault := p.Match(&k.records[j]); !ok {
					t.Errorf("%s: the program keeps %q, the evaluator does not (%v)", text, k.records[j].Raw, fault)
				}
			}
			if i == 0 && tt.want >= 0 && len(k.records) != tt.want || k.lost(perfpipe.LostFilterFault) > 0 {
				t.Errorf("%s: got %d records, %d faults, want %d", text, len(k.records), k.lost(perfpipe.LostFilterFault), tt.want)
			}
		}
	}
}
