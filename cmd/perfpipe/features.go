package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev"
)

// kernelFeatures says what the running kernel's filters know, by its release.
func kernelFeatures() filters.KernelFeatures {
	return featuresOf(kernelRelease(), possibleCPUs())
}

func featuresOf(release string, cpus int) filters.KernelFeatures {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return filters.KernelFeatures{}
	}
	at := func(a, b int) bool { return major > a || major == a && minor >= b }
	return filters.KernelFeatures{
		Function: at(6, 5),
		CPUS:     at(6, 6) && cpus > 0,
		CPUCount: cpus,
	}
}

// possibleCPUs is the number of processors that the machine may ever have
// (nr_cpu_ids), 0 where it is not known.
func possibleCPUs() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return 0
	}
	list, err := perfev.ParseCPUs(strings.TrimSpace(string(b)))
	if err != nil || len(list) == 0 {
		return 0
	}
	return slices.Max(list) + 1
}

// readsContext reports whether a filter reads what programs leave 0.
func readsContext(p *filters.Program) bool {
	return slices.ContainsFunc(p.Schema().Common, func(f perfpipe.Field) bool {
		return f.Name != "common_type" && f.Name != "common_pid" && p.Reads(f.Name)
	})
}

// withFunctions adds the kernel's functions where a filter asks for one.
func withFunctions(o filters.Options, filter string) filters.Options {
	if strings.Contains(filter, ".function") {
		if k := readKallsyms("/proc/kallsyms"); k != nil {
			o.Functions = k
		}
	}
	return o
}

// kallsyms are the kernel's functions: /proc/kallsyms, by address.
type kallsyms struct {
	addrs  []uint64
	byName map[string]uint64
}

var _ filters.Functions = (*kallsyms)(nil)

// readKallsyms returns nil where the file cannot be read or hides its addresses.
func readKallsyms(path string) *kallsyms {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // only read from
	k := &kallsyms{byName: make(map[string]uint64)}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		// "ffffffff81000000 T _stext [module]"
		w := strings.Fields(sc.Text())
		if len(w) < 3 || !strings.Contains("tTwW", w[1]) {
			continue
		}
		addr, err := strconv.ParseUint(w[0], 16, 64)
		if err != nil || addr == 0 {
			continue
		}
		k.addrs = append(k.addrs, addr)
		if _, twice := k.byName[w[2]]; !twice {
			k.byName[w[2]] = addr
		}
	}
	if sc.Err() != nil || len(k.addrs) == 0 {
		return nil
	}
	slices.Sort(k.addrs)
	k.addrs = slices.Compact(k.addrs)
	return k
}

// ByName implements [filters.Functions].
func (k *kallsyms) ByName(name string) (lo, hi uint64, ok bool) {
	addr, ok := k.byName[name]
	if !ok {
		return 0, 0, false
	}
	return k.ByAddr(addr)
}

// ByAddr implements [filters.Functions]. A function ends where the next symbol begins.
func (k *kallsyms) ByAddr(addr uint64) (lo, hi uint64, ok bool) {
	i := sort.Search(len(k.addrs), func(i int) bool { return k.addrs[i] > addr })
	if i == 0 || i == len(k.addrs) {
		return 0, 0, false
	}
	return k.addrs[i-1], k.addrs[i], true
}
