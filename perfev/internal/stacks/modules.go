package stacks

import (
	"bufio"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Modules are the kernel's modules by address.
type Modules struct {
	list []module
}

type module struct {
	name       string
	start, end uint64
}

// ParseModules reads the text of /proc/modules: "name size users deps state
// address". Without the right to see addresses they are all 0, and no module is known.
func ParseModules(r io.Reader) (*Modules, error) {
	m := &Modules{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 6 {
			continue
		}
		size, err1 := strconv.ParseUint(f[1], 10, 32)
		start, err2 := strconv.ParseUint(strings.TrimPrefix(f[5], "0x"), 16, 64)
		if err1 != nil || err2 != nil || start == 0 || start+size < start {
			continue
		}
		m.list = append(m.list, module{name: f[0], start: start, end: start + size})
	}
	slices.SortFunc(m.list, func(a, b module) int {
		if a.start < b.start {
			return -1
		}
		return 1
	})
	return m, sc.Err()
}

// At returns the name of the module at addr, "" where there is none.
func (m *Modules) At(addr uint64) string {
	i := sort.Search(len(m.list), func(i int) bool { return m.list[i].end > addr })
	if i == len(m.list) || m.list[i].start > addr {
		return ""
	}
	return m.list[i].name
}
