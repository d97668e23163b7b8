package tracefs

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenRaw opens the ring of a processor for reading its sub-buffers
// (per_cpu/cpuN/trace_pipe_raw). A read does not wait: with nothing there it fails
// with EAGAIN. The descriptor is the caller's; the instance cannot be removed before
// it is closed.
func (in *Instance) OpenRaw(cpu int) (fd int, err error) {
	path := in.Path(fmt.Sprintf("per_cpu/cpu%d/trace_pipe_raw", cpu))
	return within(in.fs, "open", path, func() (int, error) {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	})
}
