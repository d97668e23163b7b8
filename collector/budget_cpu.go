package collector

import (
	"math"
	"time"
)

const (
	// cpuEvery is how long processor time is measured before the rate is set anew: the
	// writer works in bursts of a batch or a row group, which shall average out.
	cpuEvery = 500 * time.Millisecond
	// cpuAim is the part of the budget that a cut aims at, cpuGrow the part below which
	// the rate grows again: in between it stays as it is.
	cpuAim, cpuGrow = 0.95, 0.8
	// cpuStep is by how much it grows in one measurement.
	cpuStep = 1.25
	// leastRate is what is kept whatever it costs, rows a second: a recording that shows
	// nothing at all would not even say that something happened.
	leastRate = 10
)

// cpuBudget turns a bound on processor time into one on rows: what a row costs is
// what was taken, by the rows that were made. Reading and filtering take time for
// records that make none, so that the rate comes down in several steps.
type cpuBudget struct {
	max   float64
	meter func() (cpu, now time.Duration)
	// rate is in rows a second, +Inf while the budget is not reached.
	rate float64
	// cpu and now are the last reading; kept and offered what there was since.
	cpu, now      time.Duration
	kept, offered uint64
	// missed counts the measurements that were over the budget with the least rate.
	missed uint64
}

func newCPUBudget(most float64, meter func() (cpu, now time.Duration)) *cpuBudget {
	c := &cpuBudget{max: most, meter: meter, rate: math.Inf(1)}
	c.cpu, c.now = meter()
	return c
}

// roll takes what one interval kept and was offered, and sets the rate where enough
// time has passed.
func (c *cpuBudget) roll(kept, offered uint64) {
	c.kept += kept
	c.offered += offered
	cpu, now := c.meter()
	passed := now - c.now
	if passed < cpuEvery {
		return
	}
	used := 100 * float64(cpu-c.cpu) / float64(passed)
	made := float64(c.kept) / passed.Seconds()
	all := float64(c.offered) / passed.Seconds()
	c.cpu, c.now, c.kept, c.offered = cpu, now, 0, 0
	switch {
	case used > c.max:
		if c.rate <= leastRate {
			c.missed++
		}
		c.rate = max(leastRate, min(c.rate, made)*cpuAim*c.max/used)
	case used < cpuGrow*c.max && !math.IsInf(c.rate, 1):
		if c.rate *= cpuStep; c.rate > 2*all {
			c.rate = math.Inf(1)
		}
	}
}
