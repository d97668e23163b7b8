package filters

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/filters/syntax"
)

// The kernel's language as the kernel reads it: process_preds, predicate_parse and
// parse_pred of kernel/trace/trace_events_filter.c in 6.18, with their order of
// checks, so that the first fault found is the one the kernel finds.

// maxKernelText is the longest filter that the kernel takes: a page less the NUL.
const maxKernelText = 4095

// kernelFrame is one level of parentheses: or || and && (what comes).
type kernelFrame struct {
	or, and *node
	invert  bool // a ! stands before the parenthesis
}

type kernelParser struct {
	src    string
	schema *perfpipe.Schema
	opts   Options
}

// fail makes an error of what the kernel calls text, at src[pos:end].
func (k *kernelParser) fail(pos, end int, text, hint string) *Error {
	return &Error{Pos: pos, End: end, Reason: "the kernel refuses this: " + text, Hint: hint}
}

// parseKernel compiles src as the kernel would.
func parseKernel(src string, s *perfpipe.Schema, o Options) (*node, *Error) {
	k := &kernelParser{src: src, schema: s, opts: o}
	if strings.Trim(src, " \t\n\v\f\r") == "0" {
		return boolNode(true), nil // writing 0 takes the filter away
	}
	if len(src) > maxKernelText {
		return nil, k.fail(0, 0, "too long", fmt.Sprintf("the filter has %d bytes, a page less one (%d) is the most", len(src), maxKernelText))
	}
	if err := k.pairs(); err != nil {
		return nil, err
	}
	return k.predicates()
}

// pairs looks for open quotes and parentheses, as calc_stack does before all else.
func (k *kernelParser) pairs() *Error {
	var open []int
	terms := 0
	for i := 0; i < len(k.src); i++ {
		switch c := k.src[i]; {
		case c == '\'' || c == '"':
			n := strings.IndexByte(k.src[i+1:], c)
			if n < 0 {
				return k.fail(i, i+1, "Missing matching quote", "")
			}
			i += n + 1
			terms++
		case c == '(':
			open = append(open, i)
		case c == ')':
			if len(open) == 0 {
				return k.fail(i, i+1, "Too few '('", "")
			}
			open = open[:len(open)-1]
		case !isSpace(c):
			terms++
		}
	}
	if len(open) > 0 {
		at := open[len(open)-1]
		return k.fail(at, at+1, "Too many '('", "")
	}
	if terms == 0 {
		return k.fail(0, len(k.src), "no predicate", "")
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isAlnum(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// at returns the byte at i, 0 behind the end, as in C.
func (k *kernelParser) at(i int) byte {
	if i < len(k.src) {
		return k.src[i]
	}
	return 0
}

func (k *kernelParser) predicates() (*node, *Error) {
	stack := []kernelFrame{{}}
	invert := false
	i := 0
	for i < len(k.src) {
		c := k.src[i]
		switch {
		case isSpace(c):
			i++
			continue
		case c == '(':
			stack = append(stack, kernelFrame{invert: invert})
			invert = false
			i++
			continue
		case c == '!' && k.at(i+1) != '=' && k.at(i+1) != '~':
			invert = !invert
			i++
			continue
		}
		n, next, err := k.pred(i)
		if err != nil {
			return nil, err
		}
		if invert {
			n = mkNot(n)
		}
		invert = false
		i = next
		done := false
		if i, done, err = k.operators(&stack, n, i); err != nil {
			return nil, err
		}
		if done {
			top := stack[len(stack)-1]
			return top.or, nil
		}
	}
	// The text ends behind an operator or a "!". 6.18 forgives that where nothing
	// hangs in the air; older and newer kernels call it meaningless.
	top := &stack[len(stack)-1]
	switch {
	case len(stack) > 1 || top.or == nil && top.and == nil:
		return nil, k.fail(0, len(k.src), "no predicate", "")
	case top.or != nil && top.and != nil:
		return nil, k.fail(0, len(k.src), "Error", "the filter ends with an operator")
	case top.and != nil:
		return top.and, nil
	}
	return top.or, nil
}

// operators takes the predicate n and what stands behind it, up to the next
// predicate or the end (done, the whole in the last frame's or).
func (k *kernelParser) operators(stack *[]kernelFrame, n *node, i int) (next int, done bool, err *Error) {
	for {
		c := k.at(i)
		if c != 0 && isSpace(c) {
			i++
			continue
		}
		top := &(*stack)[len(*stack)-1]
		switch {
		case c == 0 && i >= len(k.src), c == ')':
		case (c == '&' || c == '|') && k.at(i+1) == c:
		default:
			return 0, false, k.fail(i, k.token(i), "Too many terms in predicate expression", "an operator && or || or the end is expected")
		}
		if n != nil {
			if top.and != nil {
				n = mkAnd(top.and, n)
			}
			top.and = n
		}
		if c == '&' {
			return i + 2, false, nil
		}
		if top.or != nil {
			top.and = mkOr(top.or, top.and)
		}
		top.or, top.and = top.and, nil
		switch {
		case c == '|':
			return i + 2, false, nil
		case c == 0:
			return i, true, nil
		}
		n = top.or
		if top.invert {
			n = mkNot(n)
		}
		*stack = (*stack)[:len(*stack)-1]
		i++
	}
}

// token returns the end of the word that begins at i.
func (k *kernelParser) token(i int) int {
	j := i
	for j < len(k.src) && (isAlnum(k.src[j]) || k.src[j] == '_') {
		j++
	}
	return max(j, min(i+1, len(k.src)))
}

// kernelType is how the kernel filters a field (FILTER_* in trace_events.h).
type kernelType uint8

const (
	kernelOther kernelType = iota
	kernelStatic
	kernelDyn
	kernelRel
	kernelPtr
	kernelMask
	kernelCPU
	kernelComm
	kernelStack
)

// kernelField is what parse_pred knows of a field.
type kernelField struct {
	name         string
	kind         kernelType
	fld          *perfpipe.Field
	offset, size int
	signed       bool
}

func (f *kernelField) isString() bool {
	return f.kind == kernelStatic || f.kind == kernelDyn || f.kind == kernelRel || f.kind == kernelPtr || f.kind == kernelComm
}

// findKernelField is trace_find_event_field with filter_assign_type.
func findKernelField(name string, s *perfpipe.Schema) *kernelField {
	f := s.Field(name)
	if f == nil {
		switch name {
		case "CPU", "cpu", "common_cpu":
			return &kernelField{name: name, kind: kernelCPU, size: 4, signed: true}
		case "COMM", "comm":
			return &kernelField{name: name, kind: kernelComm, size: 16}
		case "stacktrace":
			return &kernelField{name: name, kind: kernelStack}
		}
		return nil
	}
	k := &kernelField{name: name, fld: f, offset: f.Offset, size: f.Size, signed: f.Signed}
	t := strings.TrimSpace(f.CType)
	switch {
	case f.Loc != perfpipe.LocStatic:
		switch {
		case strings.Contains(t, "char") && f.Loc == perfpipe.LocData:
			k.kind = kernelDyn
		case strings.Contains(t, "char"):
			k.kind = kernelRel
		case strings.Contains(t, "cpumask_t"):
			k.kind = kernelMask
		}
	case strings.Contains(t, "[") && strings.Contains(t, "char"):
		k.kind = kernelStatic
	case t == "char *" || t == "const char *":
		k.kind = kernelPtr
	}
	return k
}

// kernelOps in the order that the kernel tries them: <= before <.
var kernelOps = [...]struct {
	text string
	kind syntax.Kind
}{{"~", syntax.Tilde}, {"!=", syntax.Ne}, {"==", syntax.Eq}, {"<=", syntax.Le}, {"<", syntax.Lt}, {">=", syntax.Ge}, {">", syntax.Gt}, {"&", syntax.And}}

// pred is parse_pred: the predicate at src[i:], and where it ends.
func (k *kernelParser) pred(i int) (*node, int, *Error) {
	s := i
	for i < len(k.src) && (isAlnum(k.src[i]) || k.src[i] == '_') {
		i++
	}
	if i == s {
		return nil, 0, k.fail(s, s+1, "Error", "a predicate begins with the name of a field")
	}
	f := findKernelField(k.src[s:i], k.schema)
	if f == nil {
		e := k.fail(s, i, "Field not found", "")
		e.Nearest, e.Fields = nearestField(k.src[s:i], k.schema), describeFields(k.schema)
		return nil, 0, e
	}
	ustring, function := false, false
	switch {
	case strings.HasPrefix(k.src[i:], ".ustring"):
		ustring = true
		i += len(".ustring")
	case strings.HasPrefix(k.src[i:], ".function"):
		function = true
		i += len(".function")
	}
	for isSpace(k.at(i)) {
		i++
	}
	op := syntax.EOF
	for _, o := range kernelOps {
		if strings.HasPrefix(k.src[i:], o.text) {
			op = o.kind
			i += len(o.text)
			break
		}
	}
	if op == syntax.EOF {
		return nil, 0, k.fail(i, k.token(i), "Invalid operator", "the kernel knows == != < <= > >= & ~")
	}
	for isSpace(k.at(i)) {
		i++
	}
	switch c := k.at(i); {
	case function:
		return k.functionPred(f, op, i)
	case strings.HasPrefix(k.src[i:], "CPUS"):
		return k.cpusPred(f, op, i)
	case c == '"' || c == '\'':
		return k.stringPred(f, op, i, ustring)
	case isDigit(c) || c == '-':
		return k.numberPred(f, op, i)
	}
	return nil, 0, k.fail(i, k.token(i), "Invalid value (did you forget quotes)?", "")
}

// maxKernelNumber is one less than the kernel's buffer for digits.
const maxKernelNumber = 23

func (k *kernelParser) functionPred(f *kernelField, op syntax.Kind, i int) (*node, int, *Error) {
	s := i
	end := i
	for end < len(k.src) && !isSpace(k.src[end]) {
		end++
	}
	if f.size != 8 || op != syntax.Eq && op != syntax.Ne {
		return nil, 0, k.fail(s, max(end, s), "Illegal operation for field type", ".function needs an address and == or !=")
	}
	if k.opts.Functions == nil {
		return nil, 0, k.fail(s, end, "Function not found", "the addresses of the kernel's functions are not known here")
	}
	var lo, hi uint64
	ok := false
	if isDigit(k.at(i)) {
		for isAlnum(k.at(i)) {
			i++
		}
		if i-s > maxKernelNumber {
			return nil, 0, k.fail(s, i, "Operand too long", "")
		}
		v, good := syntax.ParseNumber(k.src[s:i])
		if !good {
			return nil, 0, k.fail(s, i, "Invalid value (did you forget quotes)?", "")
		}
		lo, hi, ok = k.opts.Functions.ByAddr(v)
	} else {
		i = end
		lo, hi, ok = k.opts.Functions.ByName(k.src[s:i])
	}
	if !ok || hi <= lo {
		return nil, 0, k.fail(s, i, "Function not found", "")
	}
	n := mkIn(&node{op: opLoad, typ: tUint, load: load{off: f.offset, size: 8, name: f.name}, fld: f.fld}, span{lo, hi - 1})
	if op == syntax.Ne {
		n = mkNot(n)
	}
	return n, i, nil
}

func (k *kernelParser) numberPred(f *kernelField, op syntax.Kind, i int) (*node, int, *Error) {
	s := i
	if k.src[i] == '-' {
		i++
	}
	for isAlnum(k.at(i)) {
		i++
	}
	text := k.src[s:i]
	switch {
	case f.isString():
		return nil, 0, k.fail(s, i, "Expecting string field", `quote it: "`+text+`"`)
	case op == syntax.Tilde:
		return nil, 0, k.fail(s, i, "Illegal operation for field type", "")
	case len(text) > maxKernelNumber:
		return nil, 0, k.fail(s, i, "Operand too long", "")
	}
	val, ok := syntax.ParseNumber(strings.TrimPrefix(text, "-"))
	neg := text[0] == '-'
	switch {
	case !ok, !f.signed && neg, f.signed && !neg && val > 1<<63-1, neg && val > 1<<63:
		return nil, 0, k.fail(s, i, "Illegal integer value", "")
	}
	if neg {
		val = -val
	}
	return k.compareInt(f, op, val), i, nil
}

// compareInt is select_comparison_fn: the constant is cut to the field's size, and
// a field of another size than 1, 2, 4 or 8 is never anything.
func (k *kernelParser) compareInt(f *kernelField, op syntax.Kind, val uint64) *node {
	var kid *node
	if f.kind == kernelCPU {
		if op == syntax.And {
			return boolNode(false)
		}
		kid = &node{op: opMeta, typ: tInt, meta: metaCPU, str: f.name}
		val = extend(val, 32, tInt)
	} else {
		l := load{off: f.offset, size: uint8(f.size), signed: f.signed, name: f.name}
		switch f.size {
		case 1, 2, 4, 8:
		default:
			return boolNode(false)
		}
		kid = &node{op: opLoad, typ: l.typ(), load: l, fld: f.fld}
		val = extend(val, l.size*8, l.typ())
	}
	if op == syntax.And {
		return mkMask(kid, val)
	}
	return mkCmp(op, kid, constNode(val, kid.typ))
}

func (k *kernelParser) cpusPred(f *kernelField, op syntax.Kind, i int) (*node, int, *Error) {
	s := i
	i += len("CPUS")
	switch {
	case f.kind != kernelMask && f.kind != kernelCPU && f.kind != kernelOther, op != syntax.Eq && op != syntax.Ne && op != syntax.And:
		return nil, 0, k.fail(s, i, "Illegal operation for field type", "CPUS{} goes with == != & and a number or cpumask")
	case k.at(i) != '{':
		at := i
		for isSpace(k.at(at)) {
			at++
		}
		return nil, 0, k.fail(at, k.token(at), "Missing '{'", "write CPUS{0-3}, without blanks before the brace")
	}
	n := strings.IndexByte(k.src[i:], '}')
	if n < 0 {
		return nil, 0, k.fail(s, len(k.src), "Missing '}'", "")
	}
	body := k.src[i+1 : i+n]
	i += n + 1
	limit := k.opts.CPUs
	if limit <= 0 || limit > maxCPUs {
		limit = maxCPUs
	}
	list, ok := parseCPUs(body, limit)
	if !ok {
		return nil, 0, k.fail(s, i, "Invalid cpulist", "the highest processor here is "+strconv.Itoa(limit-1))
	}
	v, single := one(list)
	if f.kind == kernelMask {
		n := &node{op: opCPUs, typ: tBool, fld: f.fld, cpus: list, bin: op}
		if op == syntax.Ne {
			n.bin = syntax.Eq
			return mkNot(n), i, nil
		}
		return n, i, nil
	}
	if single {
		if op == syntax.And {
			op = syntax.Eq
		}
		return k.compareInt(f, op, v), i, nil
	}
	// More than one: == cannot hold, != holds for every processor's number.
	if op == syntax.Eq {
		return boolNode(false), i, nil
	}
	l := load{off: f.offset, size: uint8(f.size), name: f.name}
	kid := &node{op: opLoad, typ: tUint, load: l, fld: f.fld}
	if f.kind == kernelCPU {
		kid = &node{op: opMeta, typ: tInt, meta: metaCPU, str: f.name}
	} else if f.size != 1 && f.size != 2 && f.size != 4 && f.size != 8 {
		return boolNode(false), i, nil
	}
	if op == syntax.Ne {
		list = []span{{0, uint64(limit - 1)}}
	}
	return clipIn(kid, list), i, nil
}
