package tracefs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// Limits of what ParseFormat takes. The kernel's largest format files have about
// 20 KiB, its largest record has 8192 bytes (PERF_MAX_TRACE_SIZE), and an offset in
// a __data_loc has 16 bits.
const (
	maxFormat = 1 << 20
	maxRecord = 1 << 16
	maxFields = 4096
)

// ParseFormat parses b, the text of events/SYSTEM/NAME/format, as f_show in
// kernel/trace/trace_events.c writes it:
//
//	name: irq_handler_entry
//	ID: 154
//	format:
//		field:unsigned short common_type;	offset:0;	size:2;	signed:0;
//		...
//
//		field:int irq;	offset:8;	size:4;	signed:1;
//		field:__data_loc char[] name;	offset:12;	size:4;	signed:0;
//
//	print fmt: "irq=%d name=%s", REC->irq, __get_str(name)
//
// Fields before the first blank line whose names begin with "common_" are the
// schema's Common. Kinds go by the size and sign of the file; the C type only
// tells strings, pointers, booleans and cpumasks apart. "signed:" and everything
// from "print fmt:" on may be missing. Flags that the kernel joins without a
// delimiter get "|", so that FlagsDelim tells them from enumerations.
//
// An error names the event and the line. The schema keeps no reference to b.
func ParseFormat(system string, b []byte) (*perfpipe.Schema, error) {
	p := formatParser{s: &perfpipe.Schema{System: system}}
	if len(b) > maxFormat {
		return nil, p.fail("%d bytes, more than %d", len(b), maxFormat)
	}
	if err := p.parse(string(b)); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	p.s.FormatSHA256 = hex.EncodeToString(sum[:])
	addSymbols(p.s)
	return p.s, nil
}

type formatParser struct {
	s    *perfpipe.Schema
	line int
	// own is set once the blank line behind the common fields was seen.
	own bool
}

func (p *formatParser) fail(format string, args ...any) error {
	what := p.s.System
	if p.s.Name != "" {
		what += ":" + p.s.Name
	}
	return fmt.Errorf("parse format of %s: line %d: %s", what, p.line, fmt.Sprintf(format, args...))
}

func (p *formatParser) parse(text string) error {
	const (
		head = iota
		fields
	)
	state := head
	seenID := false
	for text != "" {
		p.line++
		rest := ""
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, rest = text[:i], text[i+1:]
		}
		word := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(word, "print fmt:"):
			if state != fields {
				return p.fail("print fmt before format")
			}
			// The text is the last thing in the file.
			text = strings.TrimLeft(text, " \t\r")
			p.s.Print = strings.TrimSpace(strings.TrimPrefix(text, "print fmt:"))
			return p.finish()
		case word == "":
			if len(p.s.Common) > 0 {
				p.own = true
			}
		case state == head && strings.HasPrefix(word, "name:"):
			if p.s.Name != "" {
				return p.fail("a second name")
			}
			p.s.Name = strings.TrimSpace(word[len("name:"):])
			if p.s.Name == "" {
				return p.fail("name is empty")
			}
		case state == head && strings.HasPrefix(word, "ID:"):
			if seenID {
				return p.fail("a second ID")
			}
			id, err := strconv.ParseUint(strings.TrimSpace(word[len("ID:"):]), 10, 31)
			if err != nil {
				return p.fail("ID %q is not a number", word[len("ID:"):])
			}
			seenID = true
			p.s.ID = int(id)
		case state == head && word == "format:":
			state = fields
		case state == fields:
			if err := p.field(word); err != nil {
				return err
			}
		default:
			return p.fail("want name, ID or format, got %.60q", word)
		}
		text = rest
	}
	if state != fields {
		return p.fail("no format section")
	}
	return p.finish()
}

func (p *formatParser) finish() error {
	if p.s.Name == "" {
		return p.fail("no name")
	}
	return nil
}

// field parses "field:TYPE NAME;	offset:N;	size:N;	signed:N;".
func (p *formatParser) field(line string) error {
	body, ok := strings.CutPrefix(line, "field:")
	if !ok {
		// Kernels before 2.6.33 marked some fields so.
		if body, ok = strings.CutPrefix(line, "field special:"); !ok {
			return p.fail("want a field, got %.60q", line)
		}
	}
	if len(p.s.Common)+len(p.s.Fields) == maxFields {
		return p.fail("more than %d fields", maxFields)
	}
	decl, attrs, ok := strings.Cut(body, ";")
	if !ok {
		return p.fail("field %.60q has no offset", body)
	}
	d, err := parseDecl(decl)
	if err != nil {
		return p.fail("%v", err)
	}
	f := perfpipe.Field{Name: d.name, CType: d.ctype(), Offset: -1, Size: -1, Signed: d.signedType()}
	for _, a := range strings.Split(attrs, ";") {
		key, val, ok := strings.Cut(strings.TrimSpace(a), ":")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(val), 10, 32)
		if err != nil || n > maxRecord {
			return p.fail("field %s: %s is %.30q, want 0 to %d", d.name, key, val, maxRecord)
		}
		switch key {
		case "offset":
			f.Offset = int(n)
		case "size":
			f.Size = int(n)
		case "signed":
			f.Signed = n != 0
		}
	}
	if f.Offset < 0 || f.Size < 0 {
		return p.fail("field %s has no offset or no size", d.name)
	}
	if f.Offset+f.Size > maxRecord {
		return p.fail("field %s ends at %d, behind the largest record", d.name, f.Offset+f.Size)
	}
	if err := d.classify(&f); err != nil {
		return p.fail("%v", err)
	}
	p.s.Size = max(p.s.Size, f.Offset+f.Size)
	if !p.own && strings.HasPrefix(f.Name, "common_") {
		p.s.Common = append(p.s.Common, f)
	} else {
		p.s.Fields = append(p.s.Fields, f)
	}
	return nil
}

// IsFormat reports whether b begins as a format file does.
func IsFormat(b []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("name:"))
}
