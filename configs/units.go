package configs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// ParseSize reads a size in bytes: a whole number and B, K, M, G or T, as in 512K,
// 64M or 2G, powers of 1024 as perf has them; KB, MB and KiB, MiB mean the same.
// A bare number is an error: pages, bytes and megabytes would all be good guesses.
func ParseSize(s string) (int64, error) {
	num := strings.TrimRight(s, "BKMGTibkmgt ")
	unit := strings.ToUpper(strings.TrimSpace(s[len(num):]))
	if err := wholeNumber(num); err != nil {
		return 0, fmt.Errorf("%q is no size: %w; sizes look like 512K, 64M or 2G", s, err)
	}
	if unit == "" {
		return 0, fmt.Errorf("the size %s has no unit: write %sB, %sK, %sM or %sG", num, num, num, num, num)
	}
	shift, ok := map[string]uint{"B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20, "G": 30, "GB": 30, "GIB": 30, "T": 40, "TB": 40, "TIB": 40}[unit]
	if !ok {
		return 0, fmt.Errorf("%q is no size: its unit is none of B, K, M, G and T", s)
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("the size %s is too large", s)
	}
	if n == 0 {
		return 0, fmt.Errorf("the size %s is nothing; leave it out where there is no limit", s)
	}
	return n << shift, nil
}

// maxRing bounds one processor's ring: the kernel cannot map more at once than
// its perf_event_mlock_kb or the locked memory of the user, and 1 GiB holds
// seconds of a saturated processor.
const maxRing = 1 << 30

// ParseRing reads the size of a ring: as ParseSize, or "512 pages" of this machine.
func ParseRing(s string) (int, error) {
	if num, ok := strings.CutSuffix(strings.TrimSuffix(s, "s"), "page"); ok {
		num = strings.TrimSpace(num)
		if err := wholeNumber(num); err != nil {
			return 0, fmt.Errorf("%q is no number of pages: %w", s, err)
		}
		n, err := strconv.Atoi(num)
		if err != nil || n < 1 || n > maxRing/os.Getpagesize() {
			return 0, fmt.Errorf("a ring of %s: 1 to %d pages are possible", s, maxRing/os.Getpagesize())
		}
		return n * os.Getpagesize(), nil
	}
	if wholeNumber(s) == nil {
		return 0, fmt.Errorf("the ring %s has no unit: write %s pages, or a size such as 8M", s, s)
	}
	n, err := ParseSize(s)
	if err != nil {
		return 0, err
	}
	if n > maxRing {
		return 0, fmt.Errorf("a ring of %s for each processor: at most 1G is possible", s)
	}
	return int(n), nil
}

// wholeNumber returns why s is no plain decimal number. Leading zeros are refused:
// half of the world's parsers take 010 for 8.
func wholeNumber(s string) error {
	if s == "" {
		return errors.New("the number is missing")
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return fmt.Errorf("%q is no whole number", s)
		}
	}
	if s[0] == '0' && len(s) > 1 {
		return fmt.Errorf("%s begins with 0, which some read as octal: write %s", s, cutZeros(s))
	}
	return nil
}

func cutZeros(s string) string {
	if t := strings.TrimLeft(s, "0"); t != "" {
		return t
	}
	return "0"
}

// ParseDuration reads a time longer than nothing: numbers with ns, us, ms, s, m
// (minutes), h or d (24 hours), as in 10s, 250ms, 1h30m or 7d.
func ParseDuration(s string) (time.Duration, error) {
	if wholeNumber(strings.TrimLeft(s, "0")) == nil || strings.Trim(s, "0") == "" && s != "" {
		return 0, fmt.Errorf("the time %s has no unit: write %ss, %sms or %sm (minutes)", s, cutZeros(s), cutZeros(s), cutZeros(s))
	}
	var days int64
	rest := s
	if d, after, ok := strings.Cut(s, "d"); ok {
		if err := wholeNumber(d); err != nil {
			return 0, fmt.Errorf("%q is no time: %w", s, err)
		}
		n, err := strconv.ParseInt(d, 10, 64)
		if err != nil || n > math.MaxInt64/int64(24*time.Hour) {
			return 0, fmt.Errorf("the time %s is too long", s)
		}
		days, rest = n, after
	}
	total := time.Duration(days) * 24 * time.Hour
	if rest != "" || days == 0 && rest == s {
		if len(rest) > 1 && rest[0] == '0' && rest[1] >= '0' && rest[1] <= '9' {
			return 0, fmt.Errorf("%q begins with 0, which some read as octal: write %s", rest, cutZeros(rest))
		}
		d, err := time.ParseDuration(rest)
		if err != nil || rest[0] == '-' || rest[0] == '+' {
			return 0, fmt.Errorf("%q is no time; times look like 10s, 250ms, 1h30m or 7d", s)
		}
		if total += d; total < 0 {
			return 0, fmt.Errorf("the time %s is too long", s)
		}
	}
	if total == 0 {
		return 0, fmt.Errorf("the time %s is nothing; leave it out where there is no limit", s)
	}
	return total, nil
}

// formatSize writes n bytes so that ParseSize reads them back.
func formatSize(n int64) string {
	if n == 0 {
		return ""
	}
	units := "BKMGT"
	i := 0
	for n%1024 == 0 && i < len(units)-1 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + units[i:i+1]
}

func formatDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
