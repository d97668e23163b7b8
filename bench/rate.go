package main

import "fmt"

// Rate is how fast one engine keeps up with a saturated processor.
type Rate struct {
	Engine string `json:"engine"`
	// Chosen is the engine that --engine auto took.
	Chosen  string `json:"chosen,omitempty"`
	Refused string `json:"refused,omitempty"`
	Ring    string `json:"ring"`
	// Bare is the loop under the bare ring of that engine, before and after; Missing
	// says why there is none.
	Bare    []Load    `json:"bare,omitempty"`
	Missing string    `json:"missing,omitempty"`
	Run     Recording `json:"run"`
}

// rateFloor is what of the bare ring's rate counts as the full one: two runs of the same
// differ by some per cent.
const rateFloor = 0.95

// bare is the mean rate under the bare ring, 0 where it is not known.
func (r *Rate) bare() float64 {
	if len(r.Bare) == 0 {
		return 0
	}
	sum := 0.0
	for _, l := range r.Bare {
		sum += l.rate()
	}
	return sum / float64(len(r.Bare))
}

func (r *Rate) name() string {
	if r.Chosen != "" && r.Engine != r.Chosen {
		return r.Engine + " (" + r.Chosen + ")"
	}
	return r.Engine
}

// kept says that nothing was lost, and nothing of the loop is missing in the rows.
func (r *Rate) kept() bool { return r.Run.Lost == 0 && r.Run.Events >= r.Run.Load.Calls }

func (r *Rate) figure() Figure {
	what := fmt.Sprintf("one saturated processor for %.0f s, -m %s, --engine %s: events a second; beside it those under the bare ring",
		r.Run.Load.MeanNS*float64(r.Run.Load.Calls)/1e9, r.Ring, r.name())
	bar := fmt.Sprintf("0 lost, at least %g x", rateFloor)
	if r.Refused != "" {
		return unmeasured("one saturated processor, --engine "+r.Engine, bar, r.Refused)
	}
	f := Figure{
		What: what, Perf: "-", Ratio: "-", Bar: bar,
		Perfpipe: fmt.Sprintf("%.2f M/s, %s rows, %s lost", r.Run.Load.rate()/1e6, grouped(r.Run.Events), grouped(r.Run.Lost)),
		Verdict:  verdict(r.kept()),
	}
	bare := r.bare()
	if bare == 0 {
		f.Perf = r.Missing
		return f
	}
	q := r.Run.Load.rate() / bare
	f.Perf, f.Ratio = fmt.Sprintf("%.2f M/s", bare/1e6), fmt.Sprintf("%.3f", q)
	f.Verdict = verdict(r.kept() && q >= rateFloor)
	return f
}

// Account is a recording of events whose number is known.
type Account struct {
	Engine  string `json:"engine"`
	Refused string `json:"refused,omitempty"`
	// Ring is -m, "" the default.
	Ring string `json:"ring"`
	// Loops is how many processors make events; the recorder shares the first with one.
	Loops     int `json:"loops"`
	Generated int `json:"generated"`
	Rows      int `json:"rows"`
	Lost      int `json:"lost"`
}

func (a *Account) name() string {
	ring := "default ring"
	if a.Ring != "" {
		ring = "-m " + a.Ring
	}
	load := "one busy processor"
	if a.Loops > 1 {
		load = fmt.Sprintf("%d busy processors, the recorder's too", a.Loops)
	}
	return fmt.Sprintf("events of %s, %s, --engine %s", load, ring, a.Engine)
}

func (a *Account) figure() Figure {
	const bar = "rows + lost = generated"
	if a.Refused != "" {
		return unmeasured(a.name(), bar, a.Refused)
	}
	f := Figure{
		What: grouped(a.Generated) + " " + a.name(), Perf: "-", Ratio: "-", Bar: bar,
		Perfpipe: fmt.Sprintf("%s rows + %s lost", grouped(a.Rows), grouped(a.Lost)),
		Verdict:  verdict(a.Rows+a.Lost == a.Generated),
	}
	if a.Ring == largeRing {
		f.Bar, f.Verdict = "the same, 0 lost", verdict(a.Rows == a.Generated && a.Lost == 0)
	}
	return f
}

// largeRing is one in which nothing may be lost of one busy processor, smallRing one
// that cannot keep up.
const (
	largeRing = "64M"
	smallRing = "64K"
)

func (r *Results) rateFigures() []Figure {
	var out []Figure
	for i := range r.Rates {
		out = append(out, r.Rates[i].figure())
	}
	for i := range r.Accounts {
		out = append(out, r.Accounts[i].figure())
	}
	return out
}
