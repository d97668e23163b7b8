package filters

import (
	"math/bits"

	"github.com/perfpipe/perfpipe"
)

// link puts places for labels, and takes out what need not be there: jumps to jumps and
// to what comes next, charges that the test behind them can make, and what no way leads to.
func (g *xgen) link() []xinstr {
	code := g.code
	for i := range code {
		in := &code[i]
		if in.op.jumps() {
			in.t = g.place(in.t)
			if in.op < firstPlain {
				in.f = g.place(in.f)
			}
		}
	}
	for i := range code {
		in := &code[i]
		if in.op.jumps() {
			in.t = threaded(code, in.t)
			if in.op < firstPlain {
				in.f = threaded(code, in.f)
			}
		}
	}
	live, target := reached(code)
	for i := range code {
		if live[i] && code[i].op == xCharge {
			live[i] = !folded(code, target, live, i)
		}
	}
	code = compact(code, live)
	live, target = reached(code)
	for i := range len(code) - 1 {
		if live[i+1] {
			live[i+1] = !fused(code, target, i)
		}
		for j := i + 1; live[i] && (code[i].op == xEmit || code[i].op == xEmits) && j < len(code) && code[j].op == xEmit && target[j] == 0; j++ {
			joinEmits(&code[i], &code[j])
			live[j] = false
		}
	}
	return compact(code, live)
}

// fused does what the instruction behind i does in i as well, where that has one for both.
func fused(code []xinstr, target []int, i int) bool {
	in, next := &code[i], &code[i+1]
	switch {
	case in.op == xMove && next.op == xJump && target[i+1] == 0:
		in.op, in.t = xMoveTo, next.t
		return true
	case in.op == xRange && next.op == xAddMask && in.t == int32(i+1) && in.f == int32(i+2) && target[i+1] == 1 && next.a == next.b && next.lo&(next.lo+1) == 0:
		in.op, in.a, in.c, in.size = xRangeAdd, next.a, next.c, uint8(bits.LeadingZeros64(next.lo))
		return true
	}
	return false
}

// joinEmits makes the column of next with those of in, which is an xEmit or made here.
func joinEmits(in, next *xinstr) {
	if in.op == xEmit {
		*in = xinstr{op: xEmits, aux: &xaux{emits: []columnOf{{in.off, in.b}}}}
	}
	in.aux.emits = append(in.aux.emits, columnOf{next.off, next.b})
}

// jumps reports whether o goes to t.
func (o xop) jumps() bool {
	return o < firstPlain || o == xJump || o == xBack || o == xCall || o == xMoveTo
}

// threaded is where a jump to at comes to in the end.
func threaded(code []xinstr, at int32) int32 {
	for range len(code) {
		if at < 0 || int(at) >= len(code) || code[at].op != xJump {
			break
		}
		at = code[at].t
	}
	return at
}

// reached finds the instructions that can be run, and how many jump to each.
func reached(code []xinstr) (live []bool, target []int) {
	live, target = make([]bool, len(code)), make([]int, len(code)+1)
	todo := []int32{0}
	jump := func(at int32) {
		if at >= 0 {
			target[at]++
			todo = append(todo, at)
		}
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for int(at) < len(code) && !live[at] {
			live[at] = true
			in := &code[at]
			if in.op.jumps() {
				jump(in.t)
			}
			if in.op < firstPlain {
				jump(in.f)
			}
			if in.op == xCall {
				jump(at + 1)
			}
			if in.op < firstPlain || in.op == xJump || in.op == xMoveTo || in.op == xBack || in.op == xCall || in.op == xRet || in.op == xFault {
				break
			}
			at++
		}
	}
	return live, target
}

// folded hands the charge at i to what follows it on the only way there, where nothing
// between can fault or be seen from outside, so that the count at every fault is as it was.
func folded(code []xinstr, target []int, live []bool, i int) bool {
	n := code[i].lo
	for j := i + 1; j < len(code) && target[j] == 0 && live[j]; j++ {
		in := &code[j]
		switch {
		case in.op == xCharge:
			in.lo += n
			return true
		case in.op == xBack:
			in.lo += n
			return true
		case in.op == xJump:
			in.op, in.lo = xBack, n
			return true
		case in.op < firstEffect && in.op >= xRange:
			if uint64(in.cost)+n > 255 {
				return false
			}
			in.cost += uint8(n)
			return true
		case !in.op.pure():
			return false
		}
	}
	return false
}

// pure reports whether o does nothing but set a register.
func (o xop) pure() bool {
	switch o {
	case xMove, xAdd, xSub, xMul, xAnd, xOr, xXor, xMask, xAddMask, xSubMask, xNeg, xCompl, xCast, xFn, xMeta,
		xState, xCPUState, xSubCPU, xMapGet, xStrConst, xStrComm, xStrMove, xStrlen, xHash:
		return true
	}
	return false
}

// compact moves the live instructions together, without jumps to what is next to them.
func compact(code []xinstr, live []bool) []xinstr {
	next := make([]int, len(code)+1) // the first live one from there on
	next[len(code)] = len(code)
	for i := len(code) - 1; i >= 0; i-- {
		if in := &code[i]; in.op == xJump && in.t > int32(i) && next[in.t] == next[i+1] {
			live[i] = false
		}
		if next[i] = next[i+1]; live[i] {
			next[i] = i
		}
	}
	place := make([]int32, len(code)+1)
	var out []xinstr
	for i := range code {
		place[i] = int32(len(out))
		if live[i] {
			out = append(out, code[i])
		}
	}
	place[len(code)] = int32(len(out))
	for i := range out {
		in := &out[i]
		if in.op.jumps() && in.t >= 0 {
			in.t = place[in.t]
		}
		if in.op < firstPlain && in.f >= 0 {
			in.f = place[in.f]
		}
	}
	return out
}

// onRecordInstr makes the test in of the record; those of short texts in place need no call.
func onRecordInstr(in *instr, t, f int32) xinstr {
	out := xinstr{op: xTest, cost: 1, t: t, f: f, aux: &xaux{in: in}}
	fl, gl := in.aux.fld, in.aux.glob
	if fl == nil || gl == nil || fl.Loc != perfpipe.LocStatic || fl.Probed != nil || fl.Offset+fl.Size > 1<<15 {
		return out
	}
	switch {
	case in.op == iText8:
		out.op, out.off, out.lo, out.len = xText8, uint32(in.off), in.lo, in.len
		out.end = uint16(max(fl.Offset+fl.Size, fl.Offset+8))
	case gl.kind == globSuffix && len(gl.lit) <= 8 && len(gl.lit) > 0 && fl.Size == 16 && fl.Offset >= 8:
		out.op, out.off, out.b, out.end = xSuffix, uint32(fl.Offset), uint8(len(gl.lit)), uint16(fl.Offset+16)
		for i, c := range gl.lit {
			out.lo |= uint64(c) << (8 * i)
		}
		out.len = uint64(64 - 8*len(gl.lit))
	}
	return out
}
