package filters

import (
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe/filters/syntax"
)

// maxCPUs is the most processors that a kernel is built for (NR_CPUS on x86_64
// with MAXSMP).
const maxCPUs = 8192

// parseCPUs reads a list as the kernel's bitmap_parselist does: "0,2-4",
// "0-15:2/4" (the first two of each four), "all", N for the last. Blanks and
// commas separate. limit is the number of processors.
func parseCPUs(list string, limit int) ([]span, bool) {
	var out []span
	for _, part := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r >= '\t' && r <= '\r' }) {
		body, group, grouped := strings.Cut(part, ":")
		lo, hi := uint64(0), uint64(limit-1)
		if !strings.EqualFold(body, "all") {
			first, last, ranged := strings.Cut(body, "-")
			var ok1, ok2 bool
			lo, ok1 = cpuNumber(first, limit)
			hi, ok2 = lo, ok1
			if ranged {
				hi, ok2 = cpuNumber(last, limit)
			} else if grouped {
				return nil, false
			}
			if !ok1 || !ok2 || lo > hi {
				return nil, false
			}
		}
		if hi >= uint64(limit) {
			return nil, false
		}
		if !grouped {
			out = append(out, span{lo, hi})
			continue
		}
		used, size, ok := strings.Cut(group, "/")
		u, err1 := strconv.ParseUint(used, 10, 16)
		g, err2 := strconv.ParseUint(size, 10, 16)
		if !ok || err1 != nil || err2 != nil || g == 0 || u > g {
			return nil, false
		}
		for at := lo; u > 0 && at <= hi; at += g {
			out = append(out, span{at, min(at+u-1, hi)})
		}
	}
	return normalize(tUint, out), len(out) > 0
}

func cpuNumber(s string, limit int) (uint64, bool) {
	if s == "N" {
		return uint64(limit - 1), true
	}
	v, err := strconv.ParseUint(s, 10, 31)
	return v, err == nil
}

// one returns the only processor of a list.
func one(list []span) (uint64, bool) {
	if len(list) == 1 && list[0].lo == list[0].hi {
		return list[0].lo, true
	}
	return 0, false
}

// cpus checks x == != & CPUS{list}. A scalar is a processor's number: == is true
// where the list is that processor alone, & where the list holds it.
func (c *checker) cpus(x *syntax.Binary) *node {
	l := syntax.Bare(x.Y).(*syntax.CPUList)
	a := c.value(x.X, nil)
	if a == nil {
		return nil
	}
	if x.Op != syntax.Eq && x.Op != syntax.Ne && x.Op != syntax.And {
		return c.errorf(l, rankKernel, "write ==, != or &", "%s does not go with CPUS{}", x.Op)
	}
	limit := c.opts.CPUs
	if limit <= 0 || limit > maxCPUs {
		limit = maxCPUs
	}
	list, ok := parseCPUs(l.List, limit)
	if !ok {
		return c.errorf(l, rankKernel, "write CPUS{0,2-4}; the highest number here is "+strconv.Itoa(limit-1), "%q is no list of processors", l.List)
	}
	switch {
	case a.typ == tMask:
		n := &node{op: opCPUs, typ: tBool, fld: a.fld, cpus: list, bin: x.Op, nulls: a.nulls}
		if x.Op == syntax.Ne {
			n.bin = syntax.Eq
			return guard(mkNot(n))
		}
		return guard(n)
	case a.typ == tStr:
		return c.errorf(l, rankKernel, "", "expected a string here, as %s is one", short(syntax.Print(x.X)))
	case a.typ == tArray || a.typ == tStack || a.typ == tFunc:
		return c.errorf(x.X, rankStrict, "", "CPUS{} goes with a processor's number or a cpumask, this is %s (the kernel takes it, and finds it false)", article(a.typ))
	}
	if x.Op == syntax.And {
		return guard(clipIn(a, list))
	}
	n := boolNode(false)
	if a.nulls {
		n = mkIn(a)
	}
	if v, ok := one(list); ok {
		n = mkCmp(syntax.Eq, a, constNode(v, tUint))
	}
	if x.Op == syntax.Ne {
		return guard(mkNot(n))
	}
	return guard(n)
}

// clipIn is x in list, whose numbers may lie outside of x's domain.
func clipIn(x *node, list []span) *node {
	var spans []span
	for _, s := range list {
		d := x.domain()
		if less(x.typ, d.hi, tUint, s.lo) {
			continue
		}
		if less(x.typ, d.hi, tUint, s.hi) {
			s.hi = d.hi
		}
		spans = append(spans, s)
	}
	if x.isConst() {
		for _, s := range spans {
			if s.lo <= x.val && x.val <= s.hi && !x.negative() {
				return boolNode(true)
			}
		}
		return boolNode(false)
	}
	return mkIn(x, spans...)
}

// cpuBit reports whether a cpumask has processor i; masks end where their bytes do.
func cpuBit(mask []byte, i int) bool { return i/8 < len(mask) && mask[i/8]>>(i%8)&1 != 0 }

// matchCPUs decides mask k list.
func matchCPUs(mask []byte, k syntax.Kind, list []span) bool {
	if k == syntax.And {
		for _, s := range list {
			for i := s.lo; i <= s.hi; i++ {
				if cpuBit(mask, int(i)) {
					return true
				}
			}
		}
		return false
	}
	next := 0 // everything below was compared
	for _, s := range list {
		for ; next < int(s.lo); next++ {
			if cpuBit(mask, next) {
				return false
			}
		}
		for ; next <= int(s.hi); next++ {
			if !cpuBit(mask, next) {
				return false
			}
		}
	}
	for ; next < len(mask)*8; next++ {
		if cpuBit(mask, next) {
			return false
		}
	}
	return true
}
