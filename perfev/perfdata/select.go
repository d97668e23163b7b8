package perfdata

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// Events returns "system:name" of every tracepoint of the recording, sorted.
func (r *Reader) Events() []string {
	var list []string
	for _, s := range r.schemas {
		list = append(list, s.Event())
	}
	slices.Sort(list)
	return list
}

// Select chooses among the recording's events as tracefs.FS.Select does among the kernel's.
func (r *Reader) Select(patterns, exclude []string) ([]string, error) {
	return tracefs.Select(r.Events(), patterns, exclude)
}

// SchemaOf returns the schema of "system:name", or a *tracefs.UnknownEventError.
func (r *Reader) SchemaOf(event string) (*perfpipe.Schema, error) {
	for _, s := range r.schemas {
		if s.Event() == event {
			return s, nil
		}
	}
	return nil, &tracefs.UnknownEventError{Event: event, Nearest: tracefs.Nearest(event, r.Events())}
}

// Only leaves out all events but these, and puts Schemas into their order. It is
// called before the first Read, at most once.
func (r *Reader) Only(events []string) error {
	old := r.schemas
	at := make([]int32, len(old))
	for i := range at {
		at[i] = -1
	}
	var schemas []*perfpipe.Schema
	var pidAt []int
	for _, name := range events {
		i := slices.IndexFunc(old, func(s *perfpipe.Schema) bool { return s.Event() == name })
		if i < 0 {
			return &tracefs.UnknownEventError{Event: name, Nearest: tracefs.Nearest(name, r.Events())}
		}
		if at[i] >= 0 {
			return fmt.Errorf("select events: %s is named twice", name)
		}
		at[i] = int32(len(schemas))
		schemas, pidAt = append(schemas, old[i]), append(pidAt, r.pidAt[i])
	}
	for i, e := range r.events {
		if e >= 0 {
			r.events[i] = at[e]
		}
	}
	r.schemas, r.pidAt = schemas, pidAt
	return nil
}

// Last returns the greatest time of a sample, 0 without one, as the file says it, or
// else up to the first damage: then it reads the whole file. It does not move what Read
// reads.
func (r *Reader) Last() int64 {
	if r.info.LastTime > 0 {
		return r.info.LastTime
	}
	last := uint64(0)
	r.scan(func(kind uint32, body []byte) bool {
		if kind != recordSample {
			return true
		}
		if n, ok := r.sampleAttr(body); ok {
			if s, ok := r.attrs[n].parseSample(body); ok && s.time <= 1<<63-1 {
				last = max(last, s.time)
			}
		}
		return true
	})
	return int64(last)
}

// compressed reports whether a record of the file is. That of the header only
// says that perf could have.
func (r *Reader) compressed() (found bool) {
	r.scan(func(kind uint32, _ []byte) bool {
		found = kind == recordCompressed || kind == recordCompressed2
		return !found
	})
	return found
}

// scan calls see with every record's type and body until it says false, up to the
// first damage.
func (r *Reader) scan(see func(kind uint32, body []byte) bool) {
	in := bufio.NewReaderSize(io.NewSectionReader(r.from, int64(r.start), int64(r.end-r.start)), 1<<20)
	for {
		head, err := in.Peek(recordHeader)
		if err != nil {
			return
		}
		size := int(binary.LittleEndian.Uint16(head[6:]))
		rec, err := in.Peek(size)
		if err != nil || size < recordHeader {
			return
		}
		kind, body := binary.LittleEndian.Uint32(rec), rec[recordHeader:]
		if !see(kind, body) {
			return
		}
		skip := int64(size)
		if kind == recordAuxtrace && len(body) >= 8 {
			if n := binary.LittleEndian.Uint64(body); n < r.end {
				skip += int64(n)
			}
		}
		if skip <= int64(in.Buffered()) {
			_, _ = in.Discard(int(skip))
			continue
		}
		if _, err := io.CopyN(io.Discard, in, skip); err != nil {
			return
		}
	}
}
