package filters

// prefix are the terms that a record must satisfy before a program reads or writes
// anything but the record: the ifs at its beginning that drop it, and its verdict where
// that comes next. A record that one of them is false for is dropped by the program
// as well, and changes nothing that it keeps; the kernel may drop it before.
func (p *Program) prefix() []*node {
	var terms []*node
	left := p.budget // where a fault lets records through, the budget must hold as well
	take := func(n *node) bool {
		for _, t := range conjuncts(n, nil) {
			if t.inner || t.effects {
				return false
			}
			if left -= predicates(t); left < 0 && p.onFault {
				return false
			}
			terms = append(terms, t)
		}
		return true
	}
	for _, s := range p.body.main {
		switch {
		case s.op == stReturn:
			take(s.x)
			return terms
		case s.op == stIf && len(s.els) == 0 && drops(s.body) && take(mkNot(s.cond)):
		case s.op == stSet && harmless(s.x), s.op == stEmit && harmless(s.x):
			if left -= predicates(s.x) + predicates(s.cond); left < 0 && p.onFault {
				return terms
			}
			if p.onFault && s.x.faults {
				return terms
			}
		default:
			return terms
		}
	}
	return terms
}

// harmless reports whether computing n changes nothing.
func harmless(n *node) bool { return !n.effects && !calls(n) }

// calls reports whether n calls a declared function, which has a price of its own.
func calls(n *node) bool {
	if n.op == opUser {
		return true
	}
	for _, k := range n.kids {
		if calls(k) {
			return true
		}
	}
	return false
}

// drops reports whether a block is return false.
func drops(list []*stmt) bool {
	return len(list) == 1 && list[0].op == stReturn && list[0].x.isFalse()
}

// predicates is the most that deciding n costs of the budget; nil costs nothing.
func predicates(n *node) int {
	if n == nil {
		return 0
	}
	sum := 0
	switch n.op {
	case opIn, opMask, opCmp, opStrEq, opGlob, opStrFn, opCPUs, opCIDR, opKernel, opPresent, opVar, opState, opMapGet, opMapHas, opUser, opChanged, opRate:
		sum = 1
	}
	for _, k := range n.kids {
		sum += predicates(k)
	}
	return sum
}
