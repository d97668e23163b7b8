package configs

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ParseRate reads a number of rows a second: a whole number, or one with k or M
// (thousands and millions), as in 50000, 50k or 2M.
func ParseRate(s string) (uint64, error) {
	num, unit := s, uint64(1)
	switch {
	case strings.HasSuffix(s, "k"), strings.HasSuffix(s, "K"):
		num, unit = s[:len(s)-1], 1000
	case strings.HasSuffix(s, "M"):
		num, unit = s[:len(s)-1], 1_000_000
	}
	if err := wholeNumber(num); err != nil {
		return 0, fmt.Errorf("%q is no number of rows a second: %w; rates look like 50000, 50k or 2M", s, err)
	}
	n, err := strconv.ParseUint(num, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("the rate %s is too large", s)
	}
	if n == 0 {
		return 0, fmt.Errorf("a rate of %s rows a second is nothing; leave it out where there is no limit", s)
	}
	return n * unit, nil
}

// maxPercent is what a machine of as many processors as the kernel can have (8192,
// CONFIG_NR_CPUS with MAXSMP) can take.
const maxPercent = 8192 * 100

// ParsePercent reads a part of one processor: a decimal number, with or without %, as
// in 20, 12.5% or 250 (two and a half processors).
func ParsePercent(s string) (float64, error) {
	num := strings.TrimSuffix(s, "%")
	whole, rest, dot := strings.Cut(num, ".")
	for _, part := range []string{whole, rest} {
		if part == "" && dot || strings.Trim(part, "0123456789") != "" || num == "" {
			return 0, fmt.Errorf("%q is no part of a processor: they look like 20, 12.5%% or 250", s)
		}
	}
	if err := wholeNumber(whole); err != nil {
		return 0, fmt.Errorf("%q is no part of a processor: %w", s, err)
	}
	v, err := strconv.ParseFloat(num, 64)
	switch {
	case err != nil || v > maxPercent:
		return 0, fmt.Errorf("%s%% of a processor is more than the largest machine has", num)
	case v == 0:
		return 0, fmt.Errorf("0%% of a processor is nothing; leave it out where there is no limit")
	}
	return v, nil
}

func formatRate(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

func formatPercent(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + "%"
}
