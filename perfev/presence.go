package perfev

import (
	"bytes"
	"slices"
	"strconv"
)

// presence follows which processors are online. After one went offline its perf events
// stay off when it returns, and have to be opened again.
type presence struct {
	// at is the time of the last look.
	at int64
	// open are the processors whose events are on, away since when the others are not:
	// the last look at which nothing was known to be wrong.
	open map[int]bool
	away map[int]int64
	// more: processors that were not there at the start are opened as well.
	more bool
}

func newPresence(now int64, cpus []int) *presence {
	p := &presence{at: now, open: make(map[int]bool), away: make(map[int]int64)}
	for _, c := range cpus {
		p.open[c] = true
	}
	return p
}

// look takes which processors are online at now and which went offline since the last
// look, be it that they are back. It returns those to be opened.
func (p *presence) look(now int64, online, left []int) []int {
	for c := range p.open {
		if !slices.Contains(online, c) || slices.Contains(left, c) {
			delete(p.open, c)
			p.away[c] = p.at
		}
	}
	var list []int
	for _, c := range online {
		if p.open[c] {
			continue
		}
		if _, known := p.away[c]; !known && !p.more {
			continue
		} else if !known {
			p.away[c] = p.at
		}
		list = append(list, c)
	}
	p.at = now
	return list
}

// opened notes that the events of a processor are on, and returns since when they
// were not.
func (p *presence) opened(cpu int) (since int64) {
	since = p.away[cpu]
	delete(p.away, cpu)
	p.open[cpu] = true
	return since
}

// cpuLeft reads a message of the kernel about its devices (lib/kobject_uevent.c):
// "offline@/devices/system/cpu/cpu1", a NUL byte, and its environment. ok is false for
// all others.
func cpuLeft(msg []byte) (cpu int, ok bool) {
	head, _, _ := bytes.Cut(msg, []byte{0})
	num, ok := bytes.CutPrefix(head, []byte("offline@/devices/system/cpu/cpu"))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(string(num), 10, 16)
	if err != nil || n > maxCPU {
		return 0, false
	}
	return int(n), true
}
