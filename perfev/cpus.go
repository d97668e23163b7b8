package perfev

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxCPU bounds the numbers in a list: CONFIG_NR_CPUS is at most 8192.
const maxCPU = 8191

// ParseCPUs reads a list of processors as the kernel writes it: "0,2-4". The
// result is in order and names none twice.
func ParseCPUs(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		lo, hi, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			hi = lo
		}
		a, err1 := strconv.ParseUint(lo, 10, 16)
		b, err2 := strconv.ParseUint(hi, 10, 16)
		if err1 != nil || err2 != nil || a > b || b > maxCPU {
			return nil, fmt.Errorf("cpu list %q: %q is no cpu and no range; a list looks like 0,2-4", list, part)
		}
		for c := a; c <= b; c++ {
			cpus = append(cpus, int(c))
		}
	}
	slices.Sort(cpus)
	return slices.Compact(cpus), nil
}
