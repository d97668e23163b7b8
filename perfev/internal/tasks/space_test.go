package tasks

import (
	"testing"

	"github.com/perfpipe/perfpipe"
)

func TestNumbersInside(t *testing.T) {
	spaces := map[int32]Space{10: SpaceOwn, 20: SpaceForeign}
	asked := 0
	got := map[int32]perfpipe.Task{}
	tab := New(Options{
		Done:   func(k perfpipe.Task) { got[k.TID] = k },
		Space:  func(pid int32) Space { return spaces[pid] },
		Inside: func(tid int32) int32 { asked++; return tid - 19 },
	})
	tab.Exec(1, 10, 10, []byte("shell"))
	tab.Fork(2, 11, 10, 11, 10) // a child of the shell's
	tab.Fork(3, 10, 10, 12, 10) // and a thread
	if asked != 0 {
		t.Errorf("asked %d times about tasks of the own namespace, want none", asked)
	}
	tab.Fork(4, 20, 10, 20, 10) // a container's first process, as exec shows
	tab.Exec(5, 20, 20, []byte("init"))
	tab.Fork(6, 20, 20, 21, 20)
	tab.Fork(7, 22, 20, 22, 20)
	tab.Fork(8, 30, 29, 30, 29) // nobody knows
	tab.Close()
	for tid, want := range map[int32][2]int32{10: {10, 10}, 11: {11, 11}, 12: {10, 12}, 20: {1, 1}, 21: {1, 2}, 22: {3, 3}, 30: {0, 0}} {
		if k := got[tid]; k.NSPID != want[0] || k.NSTID != want[1] {
			t.Errorf("thread %d: got %d, %d inside, want %d, %d", tid, k.NSPID, k.NSTID, want[0], want[1])
		}
	}
	// Nothing to ask, as in a recorded file: nothing is known.
	tab = New(Options{Done: func(k perfpipe.Task) { got[k.TID] = k }})
	tab.Exec(1, 10, 10, []byte("shell"))
	tab.Close()
	if k := got[10]; k.NSPID != 0 || k.NSTID != 0 {
		t.Errorf("without a way to ask: got %d, %d, want 0, 0", k.NSPID, k.NSTID)
	}
}
