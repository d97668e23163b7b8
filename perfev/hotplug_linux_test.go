package perfev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// calledAgain counts the calls that bear a mark, and keeps losses.
type calledAgain struct {
	arg    int // offset of the first argument
	mark   uint64
	calls  int
	losses []perfpipe.Loss
}

func (c *calledAgain) Record(r *perfpipe.Record) {
	if c.arg+8 <= len(r.Raw) && binary.NativeEndian.Uint64(r.Raw[c.arg:]) == c.mark {
		c.calls++
	}
}
func (c *calledAgain) Lost(l perfpipe.Loss)  { c.losses = append(c.losses, l) }
func (c *calledAgain) Task(perfpipe.Task)    {}
func (c *calledAgain) Stack(*perfpipe.Stack) {}
func (c *calledAgain) Frame(perfpipe.Frame)  {}

// TestOpenedAgain says of processors that they were away and are back: their events are
// opened again in place of the old ones, none twice, and nothing stays open. Whether
// the kernel turns events off is for the tests of the command.
func TestOpenedAgain(t *testing.T) {
	testpriv.Need(t)
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	sc, err := fs.SchemaOf("raw_syscalls:sys_enter")
	if err = errors.Join(err, fs.Close()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		engine Engine
		chain  CallChain
		gaps   bool
	}{
		{"perf", EnginePerf, CallChain{}, true},
		{"perf with stacks", EnginePerf, CallChain{Kernel: true, User: true}, true},
		{"ftrace", EngineFtrace, CallChain{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := openFiles(t)
			s, err := Open(Config{Events: []Event{{Schema: sc, Filter: fmt.Sprintf("id == %d", syscall.SYS_GETSID)}}, Engine: tt.engine, CallChain: tt.chain, KeepSelf: true, RingBytes: 4 << 20})
			if err != nil {
				t.Fatal(err)
			}
			closed := false
			defer func() {
				if !closed {
					_ = s.Close()
				}
			}()
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			v := &calledAgain{arg: sc.Field("args").Offset, mark: 0x7fff_6169}
			cpus, err := OnlineCPUs()
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			s.hotplug.left = func() []int {
				if told++; told%2 == 1 {
					return cpus
				}
				return nil
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			const n = 1000 // of a call that hardly anybody makes: other tests fill rings with getppid
			for round := range 3 {
				for range n {
					syscall.RawSyscall(syscall.SYS_GETSID, uintptr(v.mark), 0, 0)
				}
				want := told + 2 // it was said once more that they were away, and looked at since
				for end := time.Now().Add(30 * time.Second); v.calls < n*(round+1) || told < want; {
					if err := s.Read(20*time.Millisecond, v); err != nil {
						t.Fatal(err)
					}
					if time.Now().After(end) {
						t.Fatalf("got %d calls, want %d; looked %d times, want %d", v.calls, n*(round+1), told, want)
					}
				}
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				err = s.Read(20*time.Millisecond, v)
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if err := s.Away(); err != nil {
				t.Error(err)
			}
			if v.calls != 3*n {
				t.Errorf("got %d calls, want %d", v.calls, 3*n)
			}
			gaps := 0
			for _, l := range v.losses {
				if l.Reason != perfpipe.LostOffline || l.Count != 0 || l.From >= l.To {
					t.Errorf("got loss %+v", l)
				}
				gaps++
			}
			if tt.gaps && gaps < 3*len(cpus) || !tt.gaps && gaps != 0 {
				t.Errorf("got %d gaps on %d processors", gaps, len(cpus))
			}
			closed = true
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if after := openFiles(t); after != before {
				t.Errorf("%d files are open, before it were %d", after, before)
			}
		})
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	ents, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(ents)
}
