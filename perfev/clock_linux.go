//go:build linux

package perfev

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe"
)

// ReadClock reads the three clocks. CLOCK_MONOTONIC is read before and after the
// others and their mean taken; of a few tries the one with the least distance
// counts, so that a preemption in between does not skew it.
func ReadClock(reason string) perfpipe.Clock {
	best := int64(1) << 62
	c := perfpipe.Clock{Reason: reason}
	for range 5 {
		a := clock(unix.CLOCK_MONOTONIC)
		real, boot := clock(unix.CLOCK_REALTIME), clock(unix.CLOCK_BOOTTIME)
		b := clock(unix.CLOCK_MONOTONIC)
		if b-a < best {
			best = b - a
			c.Mono, c.Real, c.Boot = a+(b-a)/2, real, boot
		}
	}
	return c
}

func clock(id int32) int64 {
	var ts unix.Timespec
	// clock_gettime fails only for clocks that do not exist.
	_ = unix.ClockGettime(id, &ts)
	return ts.Nano()
}

// ProcessTime returns how long the calling process has run on processors, all its
// threads together, user and kernel, and CLOCK_MONOTONIC at that moment.
func ProcessTime() (cpu, now time.Duration) {
	return time.Duration(clock(unix.CLOCK_PROCESS_CPUTIME_ID)), time.Duration(clock(unix.CLOCK_MONOTONIC))
}
