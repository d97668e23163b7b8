package main

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// Filters is what was measured of filters: what they cost the loop, a record in process,
// and until they are loaded.
type Filters struct {
	// Calls are those of the loop a round; one of Every is of another number.
	Calls int `json:"calls"`
	Every int `json:"every"`
	// Ring is every recorder's ring a processor.
	Ring string `json:"ring"`
	// Alone is the loop without a tool.
	Alone *Tool `json:"alone"`
	// Cases are the filters, each with its tools.
	Cases []*FilterCase `json:"cases"`
	// Benches are the Go benchmarks of filters in process.
	Benches []Bench `json:"benches,omitempty"`
	// Recipes are the programs of the manual.
	Recipes []Recipe `json:"recipes,omitempty"`
}

// FilterCase is one filter, or programs that keep the same records.
type FilterCase struct {
	// ID is one of the constants below, Filter the text.
	ID     string `json:"id"`
	Filter string `json:"filter"`
	// Kept is how many of the loop's events of a round it keeps.
	Kept  int     `json:"kept"`
	Tools []*Tool `json:"tools"`
}

// IDs of filters.
const (
	rejectsAll  = "reject-all"
	rejectsMost = "reject-99"
	keepsAll    = "accept-all"
)

// tiers are what --tier takes, in the order of the tables.
var tiers = [...]string{"bpf", "kernel", "process"}

// statefulTool is perfpipe with the program of statefulProgram.
const statefulTool = "stateful"

// every is how many calls of the loop have one of another number among them.
const every = 100

// noCall is the number of a system call that nobody makes.
const noCall = 999

// statefulProgram keeps every record, and has twenty lines to do so.
const statefulProgram = `const SLOW = 1000000000;
map<tid, u64> last[16384];
percpu state u64 calls;
percpu state u64 slow;
u64 since(u64 now, u64 before) {
    if (before == 0 || before > now) {
        return 0;
    }
    return now - before;
}
{
    u64 gap = since($time, last[$tid]);
    last[$tid] = $time;
    calls++;
    if (gap > SLOW) {
        slow++;
    }
    emit u64 gap_ns = gap;
    return calls > 0;
}
`

// Recipe is how long a program of the manual took from its text to the kernel.
type Recipe struct {
	Title string `json:"title"`
	// Refused says why it has no code for the kernel, or could not be tried.
	Refused string `json:"refused,omitempty"`
	// Programs is how many programs of the kernel it became, Instructions how many the
	// verifier has gone through for them, 0 where it does not say.
	Programs     int `json:"programs,omitempty"`
	Instructions int `json:"verified_instructions,omitempty"`
	// Code are seconds until there was code for each event, Loaded until the kernel had
	// the last program, by its own account. Each is of a process of its own.
	Code   []float64 `json:"code_s,omitempty"`
	Loaded []float64 `json:"loaded_s,omitempty"`
	// CPU are seconds of the process's own until all was open, attached too.
	CPU []float64 `json:"cpu_s,omitempty"`
}

// Bars of filters, each at most.
const (
	rejectToPeer   = 1.0
	acceptToPerf   = 0.27
	statefulToPerf = 0.4
	loadBar        = 0.05
)

// inProcess are the stages of filters in process.
var inProcess = [...]stage{
	{"a record, in process: " + code(`prev_pid == 0 && next_prio < 100 || next_comm ~ "kworker*"`) + " over raw sched_switch bytes",
		regexp.MustCompile(`/filters$`), regexp.MustCompile(`^BenchmarkMatch/three(-|$)`), 12},
	{"a record, in process: a program of 50 lines with maps and a loop", regexp.MustCompile(`/filters$`), regexp.MustCompile(`^BenchmarkProgram50(/|-|$)`), 150},
}

// code writes text as code in a table, where a bar would end the cell.
func code(text string) string { return "`" + strings.ReplaceAll(text, "|", `\|`) + "`" }

// results are c's tools beside the loop alone, as the loop's own section has them.
func (f *Filters) results(c *FilterCase) *Results {
	return &Results{Tools: append([]*Tool{f.Alone}, c.Tools...)}
}

// figures holds the results against their bars, nothing where f is nil.
func (f *Filters) figures() []Figure {
	if f == nil {
		return nil
	}
	var out []Figure
	for _, c := range f.Cases {
		out = append(out, f.caseFigures(c)...)
	}
	if len(f.Benches) > 0 {
		for i := range inProcess {
			out = append(out, inProcess[i].figure(f.Benches), inProcess[i].allocations(f.Benches))
		}
	}
	if len(f.Recipes) > 0 {
		out = append(out, f.recipeFigure())
	}
	return out
}

func (f *Filters) caseFigures(c *FilterCase) []Figure {
	const cost = "time added to the traced loop, ns per event; "
	r := f.results(c)
	compare := func(what, mine, against string, limit float64) Figure {
		return r.compare(cost+what, engineTool(mine), against, limit, "%.0f", r.added, r.added)
	}
	if c.ID == keepsAll {
		return []Figure{
			compare("a filter that keeps all ("+code(c.Filter)+"), --tier bpf; against perf record without a filter", "bpf", perfRecord, acceptToPerf),
			compare("a program of 20 lines with a map, state and a column that keeps all, --tier bpf; against perf record without a filter", statefulTool, perfRecord, statefulToPerf),
		}
	}
	part := "all"
	if c.ID == rejectsMost {
		part = fmt.Sprintf("%d %%", 100-100/f.Every)
	}
	peer := r.least(perfRecord, bpftraceCount)
	name := "the cheaper of perf record --filter and bpftrace"
	if peer != nil {
		name += " (" + peer.Name + ")"
	} else {
		peer = &Tool{ID: perfRecord}
	}
	return []Figure{compare(fmt.Sprintf("a filter that rejects %s (%s), --tier bpf; against %s", part, code(c.Filter), name), "bpf", peer.ID, rejectToPeer)}
}

// least is the tool that adds least to the loop of those with one of the IDs, nil where
// none of them was measured.
func (r *Results) least(ids ...string) *Tool {
	var best *Tool
	least := math.Inf(1)
	for _, id := range ids {
		if t := r.tool(id); t != nil && t.over(r.added).median < least {
			best, least = t, t.over(r.added).median
		}
	}
	return best
}

// allocations is the figure of what the stage's benchmarks allocate.
func (s *stage) allocations(all []Bench) Figure {
	f := Figure{What: "allocations of " + s.what, Perf: "-", Ratio: "-", Bar: "0"}
	most, n := 0.0, 0
	for _, b := range all {
		if s.pkg.MatchString(b.Package) && s.name.MatchString(b.Name) {
			most = max(most, b.Allocs)
			n++
		}
	}
	if n == 0 {
		return unmeasured(f.What, f.Bar, "no benchmark of it")
	}
	f.Perfpipe, f.Verdict = fmt.Sprintf("%g", most), verdict(most == 0)
	return f
}

// recipeFigure names the slowest of the manual's programs.
func (f *Filters) recipeFigure() Figure {
	what := "from the text of a program of docs/filters.md to the kernel's programs loaded, ms"
	bar := fmt.Sprintf("at most %.0f", loadBar*1e3)
	var done []*Recipe
	for i := range f.Recipes {
		if f.Recipes[i].Refused == "" && len(f.Recipes[i].Loaded) > 0 {
			done = append(done, &f.Recipes[i])
		}
	}
	if len(done) == 0 {
		return unmeasured(what, bar, "none has code for the kernel: "+f.Recipes[0].Refused)
	}
	slowest := slices.MaxFunc(done, func(a, b *Recipe) int {
		return cmp.Compare(spreadOf(a.Loaded).median, spreadOf(b.Loaded).median)
	})
	s := spreadOf(slowest.Loaded)
	return Figure{
		What: what, Perf: "-", Ratio: "-", Bar: bar, Verdict: verdict(s.median <= loadBar),
		Perfpipe: fmt.Sprintf("%s, the slowest (%s) of %d; %d more have no code for the kernel", s.milliseconds(), slowest.Title, len(done), len(f.Recipes)-len(done)),
	}
}

// section is what stands in the report beside the figures.
func (f *Filters) section() string {
	if f == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Filters\n\n%s calls a round, one of %d of a number of its own, rings of %s; the loop alone takes %s ns a call.\n\n",
		grouped(f.Calls), f.Every, f.Ring, f.Alone.over(ofRun(func(r *Run) float64 { return r.Load.NS })).text("%.0f"))
	b.WriteString("| filter | tool | ns added per event | CPU s per million events | events kept | lost |\n|---|---|---|---|---|---|\n")
	for _, c := range f.Cases {
		r := f.results(c)
		for _, t := range c.Tools {
			if t.Refused != "" {
				fmt.Fprintf(&b, "| %s | %s | %s | | | |\n", code(c.Filter), t.Name, t.Refused)
				continue
			}
			kept, lost := t.kept()
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", code(c.Filter), t.Name, t.over(r.added).text("%.0f"),
				t.over(ofRun((*Run).perMillionCalls)).text("%.3f"), kept, lost)
		}
	}
	b.WriteString("\n")
	for _, t := range f.hows() {
		fmt.Fprintf(&b, "- %s\n", t)
	}
	fmt.Fprintf(&b, "\nThe program of 20 lines, which keeps all:\n\n```pf\n%s```\n", statefulProgram)
	b.WriteString(recipeTable(f.Recipes))
	return b.String()
}

// hows are the command lines, each once, with F for the filter.
func (f *Filters) hows() []string {
	var out []string
	for _, c := range f.Cases {
		for _, t := range c.Tools {
			if line := t.Name + ": " + t.How; t.How != "" && !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return out
}

// kept is how many events the rounds kept, and the most that one lost, as text.
func (t *Tool) kept() (kept, lost string) {
	if t.ID == bpftracePrint {
		return "unknown", "unknown"
	}
	events, most := make([]float64, 0, len(t.Runs)), 0
	for i := range t.Runs {
		events = append(events, float64(t.Runs[i].Events))
		most = max(most, t.Runs[i].Lost)
	}
	return grouped(int(spreadOf(events).median)), grouped(most)
}

// perMillionCalls are the recorder's CPU seconds per million of the loop's calls, be they
// kept or not; NaN where it did not tell.
func (r *Run) perMillionCalls() float64 {
	if r.seconds() == 0 || r.Load.Calls == 0 {
		return math.NaN()
	}
	return r.seconds() / float64(r.Load.Calls) * 1e6
}

func recipeTable(list []Recipe) string {
	if len(list) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| program of docs/filters.md | ms to code | ms to loaded | CPU ms until open | programs | instructions verified |\n|---|---|---|---|---|---|\n")
	for _, p := range list {
		if p.Refused != "" {
			fmt.Fprintf(&b, "| %s | %s | | | | |\n", p.Title, p.Refused)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %s |\n", p.Title, spreadOf(scaled(p.Code)).text("%.1f"), spreadOf(scaled(p.Loaded)).text("%.1f"),
			spreadOf(scaled(p.CPU)).text("%.1f"), p.Programs, grouped(p.Instructions))
	}
	return b.String()
}

// scaled are seconds as milliseconds.
func scaled(seconds []float64) []float64 {
	out := make([]float64, 0, len(seconds))
	for _, s := range seconds {
		out = append(out, s*1e3)
	}
	return out
}

// check says whether the tools kept what the filter says.
func (f *Filters) check() error {
	for _, c := range f.Cases {
		for _, t := range c.Tools {
			if !ours(t) {
				continue
			}
			if strings.HasPrefix(t.Refused, failed) {
				return fmt.Errorf("filter %s, %s: %s", c.Filter, t.Name, t.Refused)
			}
			for i := range t.Runs {
				// Other tasks have events too where all are kept, and none of those numbers.
				got := t.Runs[i].Events + t.Runs[i].Lost
				if got < c.Kept || got > c.Kept && c.ID != keepsAll {
					return fmt.Errorf("filter %s, %s: %d rows + %d lost, want %d", c.Filter, t.Name, t.Runs[i].Events, t.Runs[i].Lost, c.Kept)
				}
			}
		}
	}
	return nil
}

// recipes are the programs of the manual, in their order: code blocks of the language pf,
// each by the heading before it.
func recipes(manual string) []program {
	var list []program
	title := ""
	var body *strings.Builder
	for line := range strings.Lines(manual) {
		switch text := strings.TrimRight(line, "\n"); {
		case body != nil && text == "```":
			list = append(list, program{title, body.String()})
			body = nil
		case body != nil:
			body.WriteString(line)
		case text == "```pf":
			body = &strings.Builder{}
		case strings.HasPrefix(text, "##"):
			title = strings.TrimLeft(text, "# ")
		}
	}
	return list
}

// program is one of the manual.
type program struct{ title, text string }
