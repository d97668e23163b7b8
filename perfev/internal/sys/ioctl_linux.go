//go:build linux

package sys

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetFilter gives the event fd a filter in the kernel's language
// (PERF_EVENT_IOC_SET_FILTER). The kernel never says what it did not like:
// EINVAL for most mistakes, EEXIST for a second filter on the same event.
func SetFilter(fd int, filter string) error {
	b, err := unix.BytePtrFromString(filter)
	if err != nil {
		return err
	}
	// b is kept alive by the call's own argument conversion (unsafe.Pointer rule 4).
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.PERF_EVENT_IOC_SET_FILTER, uintptr(unsafe.Pointer(b)))
	if e != 0 {
		return os.NewSyscallError("ioctl PERF_EVENT_IOC_SET_FILTER", e)
	}
	return nil
}

// SetOutput makes the event fd write to the ring of the event to, which is on the
// same CPU and the same clock (PERF_EVENT_IOC_SET_OUTPUT).
func SetOutput(fd, to int) error {
	return os.NewSyscallError("ioctl PERF_EVENT_IOC_SET_OUTPUT", unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_OUTPUT, to))
}

// Enable and Disable turn the event fd on and off, inherited ones of children too.
func Enable(fd int) error {
	return os.NewSyscallError("ioctl PERF_EVENT_IOC_ENABLE", unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0))
}

// Disable is Enable's opposite.
func Disable(fd int) error {
	return os.NewSyscallError("ioctl PERF_EVENT_IOC_DISABLE", unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_DISABLE, 0))
}

// Pause has the ring of the event fd take nothing until Resume; what comes meanwhile
// is counted as lost by its event (PERF_EVENT_IOC_PAUSE_OUTPUT).
func Pause(fd int) error {
	return os.NewSyscallError("ioctl PERF_EVENT_IOC_PAUSE_OUTPUT", unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_PAUSE_OUTPUT, 1))
}

// Resume is Pause's opposite.
func Resume(fd int) error {
	return os.NewSyscallError("ioctl PERF_EVENT_IOC_PAUSE_OUTPUT", unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_PAUSE_OUTPUT, 0))
}

// ReadCounts reads what [ReadLost] does, with the count itself: how often the event
// came, those included whose records found no room.
func ReadCounts(fd int) (count, lost uint64, err error) {
	var b [16]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, 0, os.NewSyscallError("read", err)
	}
	// A kernel without PERF_FORMAT_LOST tells the count alone.
	switch n {
	case 8:
		return binary.NativeEndian.Uint64(b[:]), 0, nil
	case 16:
		return binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:]), nil
	}
	return 0, 0, fmt.Errorf("read counts of perf event: got %d bytes, want 16", n)
}

// ReadLost reads the count of an event that was opened with read_format
// PERF_FORMAT_LOST alone: { u64 value; u64 lost; }. lost is the number of the
// event's records that found no room in the ring, children's included.
func ReadLost(fd int) (lost uint64, err error) {
	var b [16]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, os.NewSyscallError("read", err)
	}
	if n != len(b) {
		return 0, fmt.Errorf("read count of perf event: got %d bytes, want %d", n, len(b))
	}
	return binary.NativeEndian.Uint64(b[8:]), nil
}

// ReadCount reads the count of an event that was opened with read_format 0:
// { u64 value; }, what inherited ones of children counted included.
func ReadCount(fd int) (uint64, error) {
	var b [8]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, os.NewSyscallError("read", err)
	}
	if n != len(b) {
		return 0, fmt.Errorf("read count of perf event: got %d bytes, want %d", n, len(b))
	}
	return binary.NativeEndian.Uint64(b[:]), nil
}

// Monotonic returns CLOCK_MONOTONIC in nanoseconds.
func Monotonic() int64 {
	var ts unix.Timespec
	// clock_gettime fails only for clocks that do not exist.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
