package filters

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// builtin is a function of the language.
type builtin uint8

const (
	fnNone builtin = iota
	fnStrlen
	fnStartsWith
	fnEndsWith
	fnContains
	fnAbs
	fnMin
	fnMax
	fnClamp
	fnPopcount
	fnLog2
	fnNtohs
	fnNtohl
	fnBswap
	fnHasFlag
	fnAnyFlag
	fnIP
	fnCIDR
	fnHash
	fnHas
	fnIsNull
	fnSample
	fnRate
	fnDelta
	fnChanged
)

// Function is a built-in function, for lists of them.
type Function struct {
	// Name and Signature ("abs(x) s64") are what is written.
	Name, Signature string
	// Doc says what it does, in one sentence.
	Doc string

	fn       builtin
	min, max int // arguments
}

// Builtins returns the built-in functions by name.
func Builtins() []Function {
	return []Function{
		{"abs", "abs(x)", "the value without its sign; abs of the least s64 is itself", fnAbs, 1, 1},
		{"any_flag", "any_flag(x, mask) bool", "true where x has any bit of mask", fnAnyFlag, 2, 2},
		{"bswap", "bswap(x) u64", "the eight bytes in the opposite order", fnBswap, 1, 1},
		{"changed", "changed(x) bool", "true where x is not what it was the last time that this was asked, and the first time", fnChanged, 1, 1},
		{"cidr", `cidr(addr, "10.0.0.0/8") bool`, "true where the address, in network order in 4 or 16 bytes, is in the network", fnCIDR, 2, 2},
		{"clamp", "clamp(x, lo, hi)", "x, but not less than lo and not more than hi", fnClamp, 3, 3},
		{"contains", "contains(s, part) bool", "true where part occurs in s", fnContains, 2, 2},
		{"delta", "delta(x) s64", "x less what it was the last time that this was asked; 0 the first time", fnDelta, 1, 1},
		{"endswith", "endswith(s, part) bool", "true where s ends with part", fnEndsWith, 2, 2},
		{"has", "has(field) bool", "true where the event has the field; what it guards is not checked where it has not", fnHas, 1, 1},
		{"has_flag", "has_flag(x, mask) bool", "true where x has all bits of mask", fnHasFlag, 2, 2},
		{"hash", "hash(x) u64", "64 well-mixed bits of an integer or a string", fnHash, 1, 1},
		{"ip", `ip(addr) u64, ip("127.0.0.1")`, "an IPv4 address as a number that orders like the address", fnIP, 1, 1},
		{"isnull", "isnull(field) bool", "true where the field has no value: what a probe should have read could not be read, or was NULL", fnIsNull, 1, 1},
		{"log2", "log2(x) u64", "the number of the highest bit set; 0 for 0", fnLog2, 1, 1},
		{"max", "max(x, y, ...)", "the greatest", fnMax, 2, 8},
		{"min", "min(x, y, ...)", "the least", fnMin, 2, 8},
		{"ntohl", "ntohl(x) u64", "the low 4 bytes in the opposite order", fnNtohl, 1, 1},
		{"ntohs", "ntohs(x) u64", "the low 2 bytes in the opposite order", fnNtohs, 1, 1},
		{"popcount", "popcount(x) u64", "the number of bits set, of the 64", fnPopcount, 1, 1},
		{"rate", "rate(n, ms) bool", "true at most n times in ms milliseconds; both are constants", fnRate, 2, 2},
		{"sample", "sample(1/n) bool", "true for one of n records, always the same ones", fnSample, 1, 1},
		{"startswith", "startswith(s, part) bool", "true where s begins with part", fnStartsWith, 2, 2},
		{"strlen", "strlen(s) u64", "the bytes of a string before its NUL", fnStrlen, 1, 1},
	}
}

func (c *checker) call(x *syntax.Call, near *perfpipe.Field) *node {
	if c.env != nil && c.env.funcs[x.Fun.Name] != nil {
		return c.userCall(x, c.env.funcs[x.Fun.Name])
	}
	var f *Function
	best, dist := "", 3
	for _, b := range Builtins() {
		if b.Name == x.Fun.Name {
			f = &b
			break
		}
		if d := distance(b.Name, x.Fun.Name); d < dist {
			best, dist = b.Name, d
		}
	}
	if f == nil {
		hint := "the functions are abs any_flag bswap changed cidr clamp contains delta endswith has has_flag hash ip isnull log2 max min ntohl ntohs popcount rate sample startswith strlen"
		if best != "" {
			hint = "did you mean " + best + "?"
		}
		return c.errorf(x.Fun, rankKernel, hint, "unknown function %q", x.Fun.Name)
	}
	if len(x.Args) < f.min || len(x.Args) > f.max {
		return c.errorf(x, rankKernel, "it is "+f.Signature, "%s() takes %s, not %d", f.Name, arguments(f), len(x.Args))
	}
	switch f.fn {
	case fnHas, fnIsNull:
		id, ok := syntax.Bare(x.Args[0]).(*syntax.Ident)
		if !ok {
			return c.errorf(x.Args[0], rankKernel, "", "%s() takes the name of a field", f.Name)
		}
		fld := c.fieldOf(id.Name)
		switch {
		case f.fn == fnHas:
			return boolNode(fld != nil)
		case fld == nil:
			return c.unknown(id)
		}
		return c.isNull(fld)
	case fnStrlen, fnStartsWith, fnEndsWith, fnContains:
		return c.stringCall(x, f)
	case fnCIDR, fnIP:
		return c.address(x, f)
	case fnSample:
		return c.sample(x)
	case fnDelta, fnChanged, fnRate:
		return c.keeping(x, f, near)
	case fnHash:
		n := c.value(x.Args[0], near)
		if n != nil && n.typ == tStr {
			return foldCall(mkCall(fnHash, tUint, n))
		}
		if n = c.needInt(x.Args[0], n, "hash()"); n == nil {
			return nil
		}
		return foldCall(mkCall(fnHash, tUint, n))
	}
	return c.integerCall(x, f, near)
}

func arguments(f *Function) string {
	switch {
	case f.min == 1 && f.max == 1:
		return "one argument"
	case f.min == f.max:
		return [...]string{"", "", "two", "three"}[f.min] + " arguments"
	}
	return "two to eight arguments"
}

func mkCall(f builtin, t typ, kids ...*node) *node {
	n := mkNode(opCall, t, kids...)
	n.fun = f
	return n
}

// foldCall computes a call whose arguments are all constant.
func foldCall(n *node) *node {
	var v [3]uint64
	for i, k := range n.kids {
		switch {
		case k.op == opStrConst && n.fun == fnHash:
			return constNode(hashBytes([]byte(k.str)), n.typ)
		case !k.isConst() || i >= len(v):
			return n
		}
		v[i] = k.val
	}
	return constNode(callInt(n.fun, n.typ, v[0], v[1]), n.typ)
}

// callInt computes the functions of one or two integers. t is the type in which
// min and max compare.
func callInt(f builtin, t typ, a, b uint64) uint64 {
	switch f {
	case fnAbs:
		if int64(a) < 0 && t == tInt {
			return -a
		}
		return a
	case fnMin:
		if less(t, b, t, a) {
			return b
		}
		return a
	case fnMax:
		if less(t, a, t, b) {
			return b
		}
		return a
	case fnPopcount:
		return uint64(bits.OnesCount64(a))
	case fnLog2:
		return uint64(max(bits.Len64(a), 1) - 1)
	case fnNtohs:
		return uint64(bits.ReverseBytes16(uint16(a)))
	case fnNtohl, fnIP:
		return uint64(bits.ReverseBytes32(uint32(a)))
	case fnBswap:
		return bits.ReverseBytes64(a)
	case fnHash:
		return mix(a)
	}
	return 0
}

// mix is the finalizer of MurmurHash3's 64 bits: every bit of a counts for every
// bit of the result.
func mix(a uint64) uint64 {
	a ^= a >> 33
	a *= 0xff51afd7ed558ccd
	a ^= a >> 33
	a *= 0xc4ceb9fe1a85ec53
	return a ^ a>>33
}

// hashBytes is FNV-1a, mixed once more.
func hashBytes(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return mix(h)
}

func (c *checker) integerCall(x *syntax.Call, f *Function, near *perfpipe.Field) *node {
	if near == nil || f.fn == fnHasFlag || f.fn == fnAnyFlag {
		if g := c.fieldIn(x.Args[0]); g != nil {
			near = g
		}
	}
	var kids []*node
	for _, a := range x.Args {
		n := c.value(a, near)
		if n = c.needInt(a, n, f.Name+"()"); n == nil {
			return nil
		}
		kids = append(kids, n)
	}
	t := kids[0].typ
	if t == tBool {
		t = tInt
	}
	switch f.fn {
	case fnHasFlag, fnAnyFlag:
		return c.flags(x, f, kids)
	case fnMin, fnMax, fnClamp:
		for i, k := range kids[1:] {
			kt := k.typ
			if kt == tBool {
				kt = tInt
			}
			if kt == t {
				continue
			}
			// A constant that both types hold goes with either.
			switch {
			case k.isConst() && int64(k.val) >= 0:
			case t == tInt && allSmallConst(kids[:i+1]):
				t = kt
			default:
				return c.errorf(x.Args[i+1], rankKernel, "cast one of them: (s64)x or (u64)x", "%s() of s64 and u64 mixed", f.Name)
			}
		}
		for _, k := range kids {
			if k.isConst() {
				k.typ = t
			}
		}
		if f.fn == fnClamp {
			return foldCall(mkCall(fnMin, t, foldCall(mkCall(fnMax, t, kids[0], kids[1])), kids[2]))
		}
		n := kids[0]
		for _, k := range kids[1:] {
			n = foldCall(mkCall(f.fn, t, n, k))
		}
		return n
	case fnAbs:
		return foldCall(mkCall(fnAbs, t, kids[0]))
	}
	return foldCall(mkCall(f.fn, tUint, kids[0]))
}

func allSmallConst(kids []*node) bool {
	for _, k := range kids {
		if !k.isConst() || int64(k.val) < 0 {
			return false
		}
	}
	return true
}

// flags is has_flag, all bits, or any_flag.
func (c *checker) flags(x *syntax.Call, f *Function, kids []*node) *node {
	and := &syntax.Binary{X: x.Args[0], Y: x.Args[1], Op: syntax.And}
	if kids[1].isConst() && c.maskFits(and, kids[0], kids[1]) == nil {
		return nil
	}
	bits := c.arith(and, kids[0], kids[1])
	if bits == nil {
		return nil
	}
	if f.fn == fnAnyFlag {
		return truth(bits)
	}
	m := *kids[1]
	if m.isConst() {
		m.typ = bits.typ
		if l, ok := kids[0].load, kids[0].op == opLoad; ok && bits.typ == tUint {
			m.val &= l.bounds().hi
		}
	}
	return guard(mkCmp(syntax.Eq, bits, &m))
}

func (c *checker) stringCall(x *syntax.Call, f *Function) *node {
	var kids []*node
	for _, a := range x.Args {
		n := c.value(a, nil)
		if n == nil {
			return nil
		}
		if n.typ != tStr {
			return c.errorf(a, rankKernel, stringHint(a), "%s() needs a string, this is %s", f.Name, article(n.typ))
		}
		kids = append(kids, n)
	}
	if f.fn == fnStrlen {
		if kids[0].op == opStrConst {
			return constNode(uint64(len(kids[0].str)), tUint)
		}
		return mkCall(fnStrlen, tUint, kids[0])
	}
	if part := kids[1]; part.op == opStrConst {
		if strings.IndexByte(part.str, 0) >= 0 {
			return c.errorf(x.Args[1], rankKernel, "", "a string of the record holds no NUL byte")
		}
		kind := map[builtin]globKind{fnStartsWith: globPrefix, fnEndsWith: globSuffix, fnContains: globContains}[f.fn]
		return guard(mkGlob(kids[0], newGlob(kind, part.str)))
	}
	n := mkNode(opStrFn, tBool, kids...)
	n.fun = f.fn
	return guard(n)
}

// network is an address and how many of its leading bits count.
type network struct {
	addr [16]byte
	size int // 4 or 16 bytes
	bits int
}

func (w *network) match(b []byte) bool {
	if len(b) != w.size {
		return false
	}
	n := w.bits / 8
	for i := 0; i < n; i++ {
		if b[i] != w.addr[i] {
			return false
		}
	}
	rest := w.bits % 8
	return rest == 0 || (b[n]^w.addr[n])>>(8-rest) == 0
}

// address is ip() and cidr(). An address is a field of 4 or 16 bytes in network
// order: u8[4], u8[16], or a u32 (__be32) whose bytes are.
func (c *checker) address(x *syntax.Call, f *Function) *node {
	if s, ok := syntax.Bare(x.Args[0]).(*syntax.String); ok && f.fn == fnIP {
		a, err := netip.ParseAddr(s.Value)
		if err != nil || !a.Is4() {
			return c.errorf(s, rankKernel, `for IPv6 use cidr(field, "fe80::1/128")`, "%q is no IPv4 address", s.Value)
		}
		b := a.As4()
		return constNode(uint64(binary.BigEndian.Uint32(b[:])), tUint)
	}
	a := c.value(x.Args[0], nil)
	if a == nil {
		return nil
	}
	size := 0
	switch {
	case a.op == opLoad && a.load.size == 4, a.typ.integer() && a.op != opLoad:
		size = 4
	case a.typ == tArray && a.fld.Loc == perfpipe.LocStatic && a.fld.ElemSize == 1 && (a.fld.Size == 4 || a.fld.Size == 16):
		size = a.fld.Size
		if size == 4 {
			a = &node{op: opLoad, typ: tUint, load: load{off: a.fld.Offset, size: 4, name: a.fld.Name, elem: true}, fld: a.fld, src: a.src, nulls: a.nulls}
		}
	default:
		return c.errorf(x.Args[0], rankKernel, "", "%s() needs an address: u8[4], u8[16] or a u32 in network order", f.Name)
	}
	if f.fn == fnIP {
		if size != 4 {
			return c.errorf(x.Args[0], rankKernel, `use cidr(field, "fe80::1/128")`, "ip() is for IPv4, %s has 16 bytes", a.fld.Name)
		}
		return foldCall(mkCall(fnIP, tUint, a))
	}
	s, ok := syntax.Bare(x.Args[1]).(*syntax.String)
	if !ok {
		return c.errorf(x.Args[1], rankKernel, `write cidr(saddr, "10.0.0.0/8")`, "the network must be a string literal")
	}
	p, err := netip.ParsePrefix(s.Value)
	if err != nil {
		return c.errorf(s, rankKernel, `write "10.0.0.0/8" or "fe80::/10"`, "%q is no network", s.Value)
	}
	p = p.Masked()
	w := &network{size: p.Addr().BitLen() / 8, bits: p.Bits()}
	copy(w.addr[:], p.Addr().AsSlice())
	if w.size != size {
		return c.errorf(s, rankKernel, "", "the network has %d bytes, %s has %d", w.size, short(syntax.Print(x.Args[0])), size)
	}
	if size == 4 {
		lo := uint64(binary.BigEndian.Uint32(w.addr[:4]))
		return guard(mkIn(foldCall(mkCall(fnIP, tUint, a)), span{lo, lo | uint64(0xffffffff)>>w.bits}))
	}
	return guard(&node{op: opCIDR, typ: tBool, fld: a.fld, net: w, nulls: a.nulls})
}
