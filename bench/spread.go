package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is the median of some values, with the smallest and the largest.
type spread struct{ min, median, max float64 }

// spreadOf sorts values out; of none it is NaN.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	s := slices.Sorted(slices.Values(values))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (s[len(s)/2-1] + m) / 2
	}
	return spread{s[0], m, s[len(s)-1]}
}

// text writes s, the range behind the median.
func (s spread) text(format string) string {
	if s.none() {
		return "-"
	}
	median, least, most := fmt.Sprintf(format, s.median), fmt.Sprintf(format, s.min), fmt.Sprintf(format, s.max)
	if least == median && most == median {
		return median
	}
	return fmt.Sprintf("%s (%s to %s)", median, least, most)
}

// none says that there was no value.
func (s spread) none() bool { return math.IsNaN(s.median) }

// milliseconds writes a spread of seconds.
func (s spread) milliseconds() string {
	return spread{s.min * 1e3, s.median * 1e3, s.max * 1e3}.text("%.0f")
}

// grouped writes n with commas.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
