package configs

import (
	"strings"
	"testing"
)

func TestParseRate(t *testing.T) {
	for in, want := range map[string]uint64{"1": 1, "50000": 50_000, "50k": 50_000, "5K": 5000, "2M": 2_000_000} {
		if got, err := ParseRate(in); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %d, %v, want %d", in, got, err, want)
		}
		if got, err := ParseRate(formatRate(want)); err != nil || got != want {
			t.Errorf("ParseRate(formatRate(%d)) = %d, %v", want, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "missing", "k": "missing", "0": "nothing", "010": "begins with 0", "-1": "no whole number", "1.5k": "no whole number",
		"1kk": "no whole number", "1m": "no whole number", "99999999999999999999": "too large", "9999999999999999M": "too large",
	} {
		if got, err := ParseRate(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRate(%q) = %d, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestParsePercent(t *testing.T) {
	for in, want := range map[string]float64{"20": 20, "12.5%": 12.5, "250": 250, "0.5": 0.5, "100%": 100} {
		if got, err := ParsePercent(in); err != nil || got != want {
			t.Errorf("ParsePercent(%q) = %v, %v, want %v", in, got, err, want)
		}
		if got, err := ParsePercent(formatPercent(want)); err != nil || got != want {
			t.Errorf("ParsePercent(formatPercent(%v)) = %v, %v", want, got, err)
		}
	}
	for in, want := range map[string]string{
		"": "look like", "%": "look like", "0": "nothing", "0.0": "nothing", "-5": "look like", "1e3": "look like", "5.": "look like",
		".5": "look like", "1.2.3": "look like", "NaN": "look like", "010": "begins with 0", "9999999": "largest machine", "5%%": "look like",
	} {
		if got, err := ParsePercent(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePercent(%q) = %v, %v, want an error with %q", in, got, err, want)
		}
	}
}
