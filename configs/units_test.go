package configs

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"1B": 1, "512K": 512 << 10, "64M": 64 << 20, "8MiB": 8 << 20, "8mb": 8 << 20, "2 GiB": 2 << 30, "1T": 1 << 40,
	} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", in, got, err, want)
		}
		if got, err := ParseSize(formatSize(want)); err != nil || got != want {
			t.Errorf("ParseSize(formatSize(%d)) = %d, %v", want, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "missing", "M": "missing", "64": "no unit", "064M": "begins with 0", "-1M": "no whole number", "1.5G": "no whole number",
		"0M": "nothing", "9999999999999M": "too large", "99999999999999999999B": "too large", "1MM": "unit", "1 x": "no whole number", "1iB": "unit",
	} {
		if got, err := ParseSize(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSize(%q) = %d, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestParseRing(t *testing.T) {
	page := os.Getpagesize()
	for in, want := range map[string]int{"8M": 8 << 20, "1 page": page, "512 pages": 512 * page, "16pages": 16 * page, "1G": 1 << 30} {
		if got, err := ParseRing(in); err != nil || got != want {
			t.Errorf("ParseRing(%q) = %d, %v, want %d", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"512": "write 512 pages", "0 pages": "possible", "010 pages": "begins with 0", "2G": "at most 1G", "x pages": "no whole number", "9999999999999999999 pages": "possible"} {
		if got, err := ParseRing(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRing(%q) = %d, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "250ms": 250 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0.5s": 500 * time.Millisecond, "1us": time.Microsecond,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", in, got, err, want)
		}
		if got, err := ParseDuration(formatDuration(want)); err != nil || got != want {
			t.Errorf("ParseDuration(formatDuration(%v)) = %v, %v", want, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "is no time", "10": "write 10s", "010": "write 10s", "0": "no unit", "00": "no unit", "0s": "nothing", "0d": "nothing", "-1s": "is no time", "+1s": "is no time",
		"010s": "write 10s", "1d010s": "write 10s", "01d": "begins with 0", "d": "missing", "1dd": "is no time", "1:30": "is no time",
		"106752d": "too long", "106751d24h": "too long", "99999999999999999999d": "too long", "1d-1s": "is no time",
	} {
		if got, err := ParseDuration(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"events", "exclude", "name", "delay", "duration"}
	for word, want := range map[string]string{"evnets": "events", "Events": "events", "event": "events", "nmae": "name", "duratoin": "duration", "zzz": "", "": "", "display": ""} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
