package perfev

import (
	"fmt"
	"slices"
	"testing"
)

func TestPresence(t *testing.T) {
	type step struct {
		online, left, want []int
		// since is what opening those in want tells, nil does not open them.
		since []int64
	}
	for _, tt := range []struct {
		name  string
		cpus  []int
		more  bool
		steps []step // at 10, 20, 30 ..
	}{
		{"nothing happens", []int{0, 1}, true, []step{{online: []int{0, 1}}, {online: []int{0, 1}}}},
		{"away and back", []int{0, 1}, false, []step{
			{online: []int{0, 1}}, {online: []int{0}}, {online: []int{0}},
			{online: []int{0, 1}, want: []int{1}, since: []int64{10}}, {online: []int{0, 1}},
		}},
		{"away and back between two looks", []int{0, 1}, false, []step{
			{online: []int{0, 1}}, {online: []int{0, 1}, left: []int{1}, want: []int{1}, since: []int64{10}}, {online: []int{0, 1}},
		}},
		{"it cannot be opened at once", []int{0, 1}, false, []step{
			{online: []int{0}}, {online: []int{0, 1}, want: []int{1}}, {online: []int{0, 1}, left: []int{1}, want: []int{1}},
			{online: []int{0}}, {online: []int{0, 1}, want: []int{1}, since: []int64{5}},
		}},
		{"a new one", []int{0}, true, []step{{online: []int{0}}, {online: []int{0, 3}, want: []int{3}, since: []int64{10}}, {online: []int{0, 3}}}},
		{"a new one that was not asked for", []int{0}, false, []step{{online: []int{0, 3}}, {online: []int{0, 3}, left: []int{3}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPresence(5, tt.cpus)
			p.more = tt.more
			for i, s := range tt.steps {
				now := int64(10 * (i + 1))
				got := p.look(now, s.online, s.left)
				if !slices.Equal(got, s.want) {
					t.Fatalf("at %d: got %v, want %v", now, got, s.want)
				}
				if s.since == nil {
					continue
				}
				for k, c := range got {
					if since := p.opened(c); since != s.since[k] {
						t.Errorf("at %d: cpu %d since %d, want %d", now, c, since, s.since[k])
					}
				}
			}
		})
	}
}

const leaving = "offline@/devices/system/cpu/cpu17\x00ACTION=offline\x00DEVPATH=/devices/system/cpu/cpu17\x00SUBSYSTEM=cpu\x00SEQNUM=1\x00"

func TestCPULeft(t *testing.T) {
	if cpu, ok := cpuLeft([]byte(leaving)); cpu != 17 || !ok {
		t.Errorf("got %d, %v", cpu, ok)
	}
	for i := range len("offline@/devices/system/cpu/cpu1") {
		if cpu, ok := cpuLeft([]byte(leaving[:i])); ok {
			t.Errorf("the first %d bytes: got %d", i, cpu)
		}
	}
	for _, s := range []string{
		"online@/devices/system/cpu/cpu1\x00", "offline@/devices/system/cpu/cpu\x00", "offline@/devices/system/cpu/cpu1x\x00",
		"offline@/devices/system/cpu/cpu99999\x00", "offline@/devices/system/memory/memory1\x00", "libudev\x00offline@/devices/system/cpu/cpu1",
	} {
		if cpu, ok := cpuLeft([]byte(s)); ok {
			t.Errorf("%q: got %d", s, cpu)
		}
	}
}

func FuzzCPULeft(f *testing.F) {
	f.Add([]byte(leaving))
	f.Add([]byte("offline@/devices/system/cpu/cpu0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		cpu, ok := cpuLeft(b)
		if !ok {
			return
		}
		again, ok := cpuLeft(fmt.Appendf(nil, "offline@/devices/system/cpu/cpu%d\x00", cpu))
		if !ok || again != cpu {
			t.Errorf("%q: got %d, then %d, %v", b, cpu, again, ok)
		}
	})
}
