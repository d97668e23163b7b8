package perfdata

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// maxFormats bounds the format files of one recording; a kernel has about 2,500.
const maxFormats = 1 << 17

// blob is a cursor over the tracing data: what tools/perf/util/trace-event-info.c
// writes, the beginning of a trace.dat.
type blob struct {
	b   []byte
	pos int
}

func (p *blob) fail(what string) error {
	return fmt.Errorf("read tracing data: %s at byte %d of %d: the file is damaged", what, p.pos, len(p.b))
}

func (p *blob) bytes(what string, n uint64) ([]byte, error) {
	if n > uint64(len(p.b)-p.pos) {
		return nil, p.fail(fmt.Sprintf("%s of %d bytes", what, n))
	}
	b := p.b[p.pos : p.pos+int(n)]
	p.pos += int(n)
	return b, nil
}

func (p *blob) u32(what string) (uint32, error) {
	b, err := p.bytes(what, 4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// sized is a u64 and so many bytes.
func (p *blob) sized(what string) ([]byte, error) {
	b, err := p.bytes(what, 8)
	if err != nil {
		return nil, err
	}
	return p.bytes(what, binary.LittleEndian.Uint64(b))
}

func (p *blob) cstring(what string) (string, error) {
	i := bytes.IndexByte(p.b[p.pos:], 0)
	if i < 0 {
		return "", p.fail(what + " without an end")
	}
	s := string(p.b[p.pos : p.pos+i])
	p.pos += i + 1
	return s, nil
}

// rawFormat is a format file that was not parsed yet: a recording may carry more
// of them than it has events.
type rawFormat struct {
	system string
	text   []byte
}

// parseTracing returns the format files in the tracing data, by event id. The
// texts point into b. What stands behind them (symbols, printk formats, command
// lines of tasks) is only measured.
func parseTracing(b []byte) (map[int]rawFormat, error) {
	p := &blob{b: b}
	const sign = "\x17\x08\x44tracing"
	head, err := p.bytes("its signature", uint64(len(sign)))
	if err != nil || string(head) != sign {
		return nil, p.fail("no signature")
	}
	version, err := p.cstring("version")
	if err != nil {
		return nil, err
	}
	// u8 big endian, u8 sizeof(long), u32 page size.
	flags, err := p.bytes("byte order", 6)
	if err != nil {
		return nil, err
	}
	if flags[0] != 0 {
		return nil, fmt.Errorf("read tracing data: of a big-endian machine; convert it on a machine of that kind")
	}
	for _, name := range []string{"header_page", "header_event"} {
		got, err := p.cstring(name)
		if err != nil {
			return nil, err
		}
		if got != name {
			return nil, p.fail(fmt.Sprintf("%.20q for %s", got, name))
		}
		if _, err := p.sized(name); err != nil {
			return nil, err
		}
	}
	formats := map[int]rawFormat{}
	if err := p.formats("ftrace", formats); err != nil {
		return nil, err
	}
	systems, err := p.u32("number of systems")
	if err != nil {
		return nil, err
	}
	for ; systems > 0; systems-- {
		system, err := p.cstring("name of a system")
		if err != nil {
			return nil, err
		}
		if err := p.formats(system, formats); err != nil {
			return nil, err
		}
	}
	for _, what := range []string{"kernel symbols", "printk formats"} {
		n, err := p.u32(what)
		if err != nil {
			return nil, err
		}
		if _, err := p.bytes(what, uint64(n)); err != nil {
			return nil, err
		}
	}
	if version >= "0.6" {
		if _, err := p.sized("command lines"); err != nil {
			return nil, err
		}
	}
	return formats, nil
}

// formats reads a count and so many format files.
func (p *blob) formats(system string, into map[int]rawFormat) error {
	n, err := p.u32("number of formats")
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		text, err := p.sized("format of " + system)
		if err != nil {
			return err
		}
		if len(into) >= maxFormats {
			return p.fail("too many formats")
		}
		id, ok := formatID(text)
		if !ok {
			return p.fail("a format of " + system + " without an ID")
		}
		into[id] = rawFormat{system, text}
	}
	return nil
}

// formatID finds the ID line, the second of a format file.
func formatID(text []byte) (int, bool) {
	_, rest, ok := bytes.Cut(text, []byte("\nID:"))
	if !ok {
		return 0, false
	}
	rest = bytes.TrimLeft(rest, " \t")
	id, digits := 0, 0
	for _, c := range rest {
		if c < '0' || c > '9' || digits > 8 {
			break
		}
		id = id*10 + int(c-'0')
		digits++
	}
	return id, digits > 0
}

func (f rawFormat) parse() (*perfpipe.Schema, error) { return tracefs.ParseFormat(f.system, f.text) }
