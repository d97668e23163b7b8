package perfev

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/perfev/internal/maps"
	"github.com/perfpipe/perfpipe/perfev/internal/stacks"
	"github.com/perfpipe/perfpipe/perfev/internal/sys"
)

// bitBuildID is build_id of struct perf_event_attr: mappings come with the build id
// of their file (Linux 5.12).
const bitBuildID = 1 << 34

// prepareChains makes the tables for the call chains that are asked for.
func (s *Source) prepareChains() {
	c := s.cfg.CallChain
	if !c.on() {
		return
	}
	if c.User {
		s.maps = maps.New(maps.Options{Read: maps.ReadProc, BuildID: maps.BuildIDOf})
	}
	opt := stacks.Options{Maps: s.maps}
	if c.Kernel {
		opt.Module = kernelModules().At
	}
	s.chains = stacks.New(opt)
	if c.StackBytes > 0 {
		s.unwinder = newUnwinder(s.maps, c.MaxFrames)
	}
}

// scanMaps reads what the processes of the target have mapped, those of all where
// everybody is recorded: what ends before its first sample is read could not tell
// any more.
func (s *Source) scanMaps() {
	if s.maps == nil {
		return
	}
	now := sys.Monotonic()
	for _, pid := range s.tasks.Processes() {
		if s.wanted == nil || s.wanted[pid] {
			s.maps.Of(pid, now)
		}
	}
}

// kernelModules reads /proc/modules; a kernel without modules has no such file.
func kernelModules() *stacks.Modules {
	none := &stacks.Modules{}
	f, err := os.Open("/proc/modules")
	if err != nil {
		return none
	}
	defer func() { _ = f.Close() }()
	m, err := stacks.ParseModules(f)
	if err != nil {
		return none
	}
	return m
}

// openMaps opens the event that tells of executable mappings, which writes to the
// side ring of its processor. go-perf has no bit for build ids.
func (c *cpuRings) openMaps() error {
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_SOFTWARE,
		Config:      unix.PERF_COUNT_SW_DUMMY,
		Size:        unix.PERF_ATTR_SIZE_VER5,
		Sample_type: unix.PERF_SAMPLE_TIME,
		Clockid:     unix.CLOCK_MONOTONIC,
		Wakeup:      uint32(len(c.sideMap.Data) / 4),
		Bits: unix.PerfBitDisabled | unix.PerfBitSampleIDAll | unix.PerfBitUseClockID | unix.PerfBitWatermark |
			unix.PerfBitMmap | unix.PerfBitMmap2 | bitBuildID,
	}
	fd, err := unix.PerfEventOpen(&attr, -1, c.cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if errors.Is(err, unix.EINVAL) {
		attr.Bits &^= bitBuildID
		fd, err = unix.PerfEventOpen(&attr, -1, c.cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	}
	if err != nil {
		return openError("mapping records", c.cpu, os.NewSyscallError("perf_event_open", err))
	}
	c.mapFD = fd
	ring, err := c.sideEv.FD()
	if err != nil {
		return fmt.Errorf("open mapping records on cpu %d: %w", c.cpu, err)
	}
	if err := sys.SetOutput(fd, ring); err != nil {
		return fmt.Errorf("open mapping records on cpu %d: %w", c.cpu, err)
	}
	return nil
}

// sampleMore asks for what samples have beside the time and the raw data.
func (c *Config) sampleMore(attr *unix.PerfEventAttr) {
	if c.CgroupIDs {
		attr.Sample_type |= unix.PERF_SAMPLE_CGROUP
	}
	if !c.CallChain.on() {
		return
	}
	if c.CallChain.kernelWalks() {
		attr.Sample_type |= unix.PERF_SAMPLE_CALLCHAIN
	}
	if n := c.CallChain.StackBytes; n > 0 {
		attr.Sample_type |= unix.PERF_SAMPLE_REGS_USER | unix.PERF_SAMPLE_STACK_USER
		attr.Sample_regs_user, attr.Sample_stack_user = userRegs, uint32(n)
	}
	attr.Sample_max_stack = uint16(c.CallChain.MaxFrames)
	if !c.CallChain.Kernel {
		attr.Bits |= unix.PerfBitExcludeCallchainKernel
	}
	if !c.CallChain.User || c.CallChain.StackBytes > 0 {
		attr.Bits |= unix.PerfBitExcludeCallchainUser
	}
}

// chainID returns the number of the call chain of a sample.
func (s *Source) chainID(v sampleView, pid int32, at int64) uint64 {
	if s.unwinder == nil {
		return s.chains.ID(v.chain, pid, at, s.visit)
	}
	return s.chains.Placed(v.chain, s.unwinder.walk(v, pid, at), pid, at, s.visit)
}

// explain says what some refusals of the kernel mean.
func (s *Source) explain(err error) error {
	switch {
	case errors.Is(err, unix.EOVERFLOW):
		return fmt.Errorf("%w: call chains of %d frames go over /proc/sys/kernel/perf_event_max_stack; ask for fewer or raise it", err, s.cfg.CallChain.MaxFrames)
	case len(s.cfg.Target.Cgroups) > 0 && (errors.Is(err, unix.EBADF) || errors.Is(err, unix.EINVAL)):
		return fmt.Errorf("%w: perf does not follow this cgroup: it must be a folder of the v2 hierarchy, or of perf_event where that is mounted as v1, on a kernel with CONFIG_CGROUP_PERF", err)
	case s.cfg.CgroupIDs && errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: this kernel may not tell the cgroup of a task (Linux 5.7 with CONFIG_CGROUP_PERF does)", err)
	}
	return err
}
