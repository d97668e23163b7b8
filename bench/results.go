package main

import (
	"fmt"
	"strings"
)

// Results are everything that was measured, round by round. A section that was not
// run is empty.
type Results struct {
	Machine Machine `json:"machine"`
	// Calls is the number of the loop's calls a round, Ring every recorder's ring a processor.
	Calls int    `json:"calls"`
	Ring  string `json:"ring"`
	// Seconds is how long everything took.
	Seconds float64 `json:"seconds"`
	// Tools are the loop alone, the bare rings, the peers and perfpipe's engines, each
	// with a run a round.
	Tools    []*Tool   `json:"tools,omitempty"`
	Converts []Convert `json:"converts,omitempty"`
	Rates    []Rate    `json:"rates,omitempty"`
	Accounts []Account `json:"accounts,omitempty"`
	Memory   *Memory   `json:"memory,omitempty"`
	Stops    *Stops    `json:"stops,omitempty"`
	Stages   []Bench   `json:"stages,omitempty"`
	Scaling  *Scaling  `json:"scaling,omitempty"`
	Starts   []Start   `json:"starts,omitempty"`
	Others   []Other   `json:"others,omitempty"`
	Filters  *Filters  `json:"filters,omitempty"`
	Probes   *Probes   `json:"probes,omitempty"`
}

// Machine is where and with what the figures were made.
type Machine struct {
	Date     string `json:"date"`
	CPU      string `json:"cpu"`
	Kernel   string `json:"kernel"`
	Perf     string `json:"perf"`
	TraceCmd string `json:"trace_cmd"`
	Bpftrace string `json:"bpftrace"`
	Perfpipe string `json:"perfpipe"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Load     string `json:"load_average"`
	CPUs     int    `json:"cpus"`
	MemoryMB int    `json:"memory_mb"`
}

// Load is what the load has to say of itself.
type Load struct {
	// Calls is the number of getppid system calls that were made.
	Calls int `json:"calls"`
	// NS is the median over chunks of the nanoseconds that a call took, of the thread's own time.
	NS float64 `json:"ns_per_call"`
	// MeanNS is the time from the first to the last, by Calls, on the wall.
	MeanNS float64 `json:"mean_ns_per_call"`
}

// rate is the loop's calls a second, from the first to the last.
func (l Load) rate() float64 { return 1e9 / l.MeanNS }

// Recording is the loop under a recorder.
type Recording struct {
	Load Load `json:"load"`
	usage
	// Events were recorded, those of other tasks on that processor too; Lost were not.
	Events int `json:"events"`
	Lost   int `json:"lost"`
	// Bytes are those of the files.
	Bytes int64 `json:"bytes"`
}

// usage is what a finished process and the children it waited for have used.
type usage struct {
	// User and System are CPU seconds.
	User   float64 `json:"user_s"`
	System float64 `json:"system_s"`
	// Peak is the largest resident set of one process, in bytes.
	Peak int64 `json:"peak_bytes"`
}

// seconds are those of the processor, user and system.
func (u usage) seconds() float64 { return u.User + u.System }

// engines are what --engine takes, in the order of the tables.
var engines = [...]string{"auto", "bpf", "ftrace", "perf"}

// engineTool is the ID of perfpipe's Tool of an engine.
func engineTool(engine string) string { return "perfpipe-" + engine }

// failed begins the reason why something that was not refused could not be measured.
const failed = "failed: "

// check says whether what must hold on any machine, however busy, does.
func (r *Results) check() error {
	for _, a := range r.Accounts {
		if strings.HasPrefix(a.Refused, failed) {
			return fmt.Errorf("%s: %s", a.name(), a.Refused)
		}
		if a.Refused == "" && a.Rows+a.Lost != a.Generated {
			return fmt.Errorf("%s: %d rows + %d lost is not %d generated", a.name(), a.Rows, a.Lost, a.Generated)
		}
	}
	if r.Filters != nil {
		if err := r.Filters.check(); err != nil {
			return err
		}
	}
	if r.Probes != nil {
		return r.Probes.check()
	}
	return nil
}

// Figure is a line of the table.
type Figure struct {
	What string
	// Perf is what the peer was measured at, Bar what perfpipe is held against.
	Perf, Perfpipe, Ratio, Bar string
	Verdict                    string
}

// figures holds the results against their bars.
func (r *Results) figures() []Figure {
	var out []Figure
	out = append(out, r.loopFigures()...)
	out = append(out, r.rateFigures()...)
	out = append(out, r.runFigures()...)
	out = append(out, r.stageFigures()...)
	return append(out, r.Filters.figures()...)
}

// unmeasured is the line of a figure that could not be made, with the reason.
func unmeasured(what, bar, why string) Figure {
	return Figure{What: what, Perf: "-", Perfpipe: why, Ratio: "-", Bar: bar, Verdict: "not measured"}
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}
