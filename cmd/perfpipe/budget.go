package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/perfpipe/perfpipe/collector"
	"github.com/perfpipe/perfpipe/configs"
)

// budgetOf is what a capture may cost; meter measures what it does.
func budgetOf(c *configs.Capture, meter func() (cpu, now time.Duration)) collector.Budget {
	// The word was checked where it came from.
	over, _ := collector.ParseOver(c.Over)
	return collector.Budget{MaxRate: c.MaxRate, MaxCPU: c.MaxCPU, Meter: meter, Over: over}
}

// describeBudget says what the budget is and what goes beyond it, nothing without one.
func describeBudget(c *configs.Capture) string {
	var most []string
	if c.MaxRate > 0 {
		most = append(most, commas(c.MaxRate)+" rows a second")
	}
	if c.MaxCPU > 0 {
		most = append(most, percent(c.MaxCPU)+" of a processor")
	}
	if len(most) == 0 {
		return ""
	}
	over, _ := collector.ParseOver(c.Over)
	what := "one in 2^k slices of each thread's time is kept"
	switch over {
	case collector.OverThreads:
		what = "one in 2^k threads is kept"
	case collector.OverEvents:
		what = "the noisiest events are cut first"
	}
	return fmt.Sprintf("budget: at most %s; beyond, %s, and the rest is counted in _lost\n", strings.Join(most, " and "), what)
}

// percent writes a part of a processor.
func percent(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + "%" }
