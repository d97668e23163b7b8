package perfpipe

import "bytes"

// Kind is what one value (or one element of an array) of a field is.
type Kind uint8

// Kinds. Integers go by the size and sign of the format file, not by the C type.
const (
	// KindBytes is a value that is no integer and no string: a struct, a union,
	// an integer of an odd size. Field.ElemSize bytes are kept as they are.
	KindBytes Kind = iota
	// KindInt and KindUint are integers of 1, 2, 4 or 8 bytes (Field.ElemSize).
	KindInt
	KindUint
	// KindBool is C's bool, one byte.
	KindBool
	// KindPointer is an address of ElemSize bytes. It is never followed.
	KindPointer
	// KindString is text that ends at its first NUL byte, or at its length.
	KindString
	// KindCPUMask is a bitmap of processors, least significant bit first, in unsigned longs.
	KindCPUMask
)

// Loc is where a field's bytes are.
type Loc uint8

const (
	// LocStatic: at Offset, Size bytes.
	LocStatic Loc = iota
	// LocData (__data_loc): at Offset stands a u32; its low 16 bits are the offset of the
	// data from the start of the record, its high 16 bits the length in bytes.
	LocData
	// LocRel (__rel_loc): the same, but the offset counts from the end of that u32.
	LocRel
)

// Field is one field of an event, as its format file in tracefs describes it.
// It is read-only once its schema is made.
type Field struct {
	// Name is the kernel's name.
	Name string
	// CType is the type as the format file writes it, without the name:
	// "unsigned int", "char[16]", "__data_loc char[]".
	CType string
	// Symbols are the names of values that the event's print format knows
	// (__print_symbolic, __print_flags), in its order.
	Symbols []Symbol
	// FlagsDelim is the delimiter of __print_flags; "" where Symbols are not flags.
	FlagsDelim string
	// Offset and Size are those of the format file, in bytes. For LocData and
	// LocRel, Size is that of the u32.
	Offset, Size int
	// ElemSize is the size of one value in bytes: that of the field for scalars,
	// of an element for arrays, 1 for strings.
	ElemSize int
	// Count is the number of elements: 1 and not Array for a scalar; for an Array
	// in place, its length; 0 where it is dynamic (LocData, LocRel).
	Count int
	// Kind is the kind of one element.
	Kind Kind
	// Loc is where the bytes are.
	Loc Loc
	// Array is true for arrays of anything but text.
	Array bool
	// Signed is the format file's "signed:".
	Signed bool
	// SignBits is the width in bits of a signed bitfield, whose value a probe shifts down
	// and leaves unsigned: it is sign-extended from there. 0 is none.
	SignBits int
	// Probed says when the field has no value, for probes that read the memory of
	// a process; nil is a field that always has one.
	Probed *Probed
}

// Probed says how to tell the value of a probe's field from memory that could not
// be read. The kernel reads it as zeroes, and a string that cannot be read or that
// has 4096 bytes or more as one of length 0 (kernel/trace/trace_probe_kernel.h),
// so that a probe fetches more than is asked for. Offsets are those of hidden
// fields in the record, -1 for none.
type Probed struct {
	// Check is the offset of the __data_loc of a string at the same place: where the
	// value is all zeroes and the length there is 0, the memory could not be read.
	Check int
	// Head is the offset of the first HeadSize bytes of a string: where the string's
	// length is 0 and they are not, it is longer than the kernel takes, and they are
	// what there is of it.
	Head, HeadSize int
	// Length is the offset of a s64 that says how many bytes of a text in place are
	// its own: the length word of a Go string.
	Length int
	// Through are the offsets of the u64 pointers that lead to the value, where it is
	// behind more than one. Where the kernel cannot follow one, it leaves in the fields
	// behind it whatever an earlier record had there; one that is 0 was not followed.
	Through []int
	// Mask is the offset of a u32 whose bit Bit is set where the field has a value, for
	// made-up records whose kinds have different fields. 0 is none, as every record
	// begins with the common fields.
	Mask int
	// Bit is 0 to 31.
	Bit uint8
	// Never is true where the value cannot be had at all, such as a double in a
	// register: every row is null.
	Never bool
}

// Symbol is a name for a value, or for a bit of a mask.
type Symbol struct {
	Name  string
	Value uint64
}

// Schema is the layout of one event: "struct trace_event_call" as its format
// file in tracefs shows it. It is read-only once made.
type Schema struct {
	// System and Name are the two halves of "sched:sched_switch".
	System, Name string
	// Print is the text behind "print fmt:".
	Print string
	// FormatSHA256 is the hex digest of the format file's bytes, "" for made-up schemas.
	FormatSHA256 string
	// Common are the fields that every event of this kernel begins with
	// (common_type, common_flags, common_preempt_count, common_pid, ...).
	Common []Field
	// Fields are the event's own, in the order of the format file.
	Fields []Field
	// Table is the name of the table that the rows go to, "" is System.Name. Several
	// events may share one: the sites of a probe whose arguments have different types.
	Table string
	// ID is the number in common_type (PERF_TYPE_TRACEPOINT's config), 0 if unknown.
	ID int
	// Size is the end of the last field: the least that a record must have, in bytes.
	Size int
}

// Event returns "system:name".
func (s *Schema) Event() string { return s.System + ":" + s.Name }

// Field returns the event's own field of that name, then the common one, or nil.
func (s *Schema) Field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	for i := range s.Common {
		if s.Common[i].Name == name {
			return &s.Common[i]
		}
	}
	return nil
}

// Bytes returns where f's data is in raw: the field itself, or what its
// __data_loc or __rel_loc points to. ok is false where it does not lie within raw.
// For strings the result may still hold NUL bytes.
func (f *Field) Bytes(raw []byte) (data []byte, ok bool) {
	off, n := f.Offset, f.Size
	if f.Loc != LocStatic {
		if !within(raw, off, 4) {
			return nil, false
		}
		loc := uint32(raw[off]) | uint32(raw[off+1])<<8 | uint32(raw[off+2])<<16 | uint32(raw[off+3])<<24
		n = int(loc >> 16)
		if f.Loc == LocRel {
			off += 4 + int(loc&0xffff)
		} else {
			off = int(loc & 0xffff)
		}
	}
	if !within(raw, off, n) {
		return nil, false
	}
	return raw[off : off+n : off+n], true
}

// within reports whether raw has n bytes at off.
func within(raw []byte, off, n int) bool {
	return off >= 0 && n >= 0 && n <= len(raw) && off <= len(raw)-n
}

// Uint returns the integer of a scalar in place, zero-extended, or sign-extended
// where the field is signed. ok is false where raw is too short or the field is
// not 1, 2, 4 or 8 bytes in place.
func (f *Field) Uint(raw []byte) (v uint64, ok bool) {
	if f.Loc != LocStatic || !within(raw, f.Offset, f.Size) {
		return 0, false
	}
	v, ok = LoadInt(raw[f.Offset:f.Offset+f.Size], f.Signed)
	return f.Extend(v), ok
}

// Extend returns v, an integer of the field as the record holds it, with the sign
// that SignBits says; without SignBits it is v.
func (f *Field) Extend(v uint64) uint64 {
	if !f.Signed || f.SignBits <= 0 || f.SignBits >= 64 {
		return v
	}
	s := 64 - f.SignBits
	return uint64(int64(v<<s) >> s)
}

// Present reports whether the field, one or several integers in place, has a value in
// raw; ok is false where raw is too short to tell. Strings are told by [Field.Text].
func (f *Field) Present(raw []byte) (present, ok bool) {
	p := f.Probed
	if p == nil {
		return true, true
	}
	if p.Never {
		return false, true
	}
	if p.Mask > 0 {
		set, ok := p.masked(raw)
		if !set || !ok {
			return false, ok
		}
	}
	if led, ok := p.led(raw); !led || !ok {
		return false, ok
	}
	data, ok := f.Bytes(raw)
	if !ok {
		return false, false
	}
	if p.Check < 0 {
		return true, true
	}
	if !within(raw, p.Check, 4) {
		return false, false
	}
	return !zero(data) || locLength(raw, p.Check) > 0, true
}

// Ends of the data that a uprobe fetches: a page behind the header of an entry probe,
// and behind that of a return probe, which is longer by an address
// (MAX_UCB_BUFFER_SIZE in kernel/trace/trace_uprobe.c). A string that reaches one was
// cut there; one that ends there by its own length is taken for cut as well.
const (
	entryEnd  = 16 + 4096
	returnEnd = 24 + 4096
)

// maxText is the most bytes that there are of a string. Data that is longer than so
// many and their NUL, which the kernel's own fetch never makes, is of a longer string:
// so perfpipe's programs (perfev/bpf) say that it is cut.
const maxText = 4096

// Text returns the text of a string field of a probe, up to its first NUL byte.
// present is false where the memory could not be read, cut is true where data is
// only the beginning of the text, or where other strings left no room for any of it. ok is false where the field does not lie within raw.
// It serves every string field; without Probed, present is true and cut false.
func (f *Field) Text(raw []byte) (data []byte, present, cut, ok bool) {
	p := f.Probed
	if p != nil && p.Never {
		return nil, false, false, true
	}
	if p != nil && p.Mask > 0 {
		// Where the bit is set the text is there, however short.
		set, whole := p.masked(raw)
		if !set || !whole {
			return nil, false, false, whole
		}
		data, ok = f.Bytes(raw)
		return upToNUL(data), ok, false, ok
	}
	if p != nil {
		if led, whole := p.led(raw); !led || !whole {
			return nil, false, false, whole
		}
	}
	data, ok = f.Bytes(raw)
	if !ok {
		return nil, false, false, false
	}
	if p == nil {
		return upToNUL(data), true, false, true
	}
	switch {
	case p.Length >= 0:
		return f.counted(raw, data)
	case f.Loc == LocStatic:
		present, ok = f.Present(raw)
		if !present {
			return nil, false, false, ok
		}
		data = upToNUL(data)
		return data, true, len(data) == f.Size && f.Size > 0, ok
	}
	end := f.end(raw)
	full := end == entryEnd || end == returnEnd
	switch {
	case f.Loc == LocData && len(data) > maxText+1:
		return upToNUL(data[:maxText]), true, true, true
	case len(data) > 0:
		// A string that is longer than the kernel takes is measured as 0, and then copied
		// into the room that was measured for those behind it.
		text := upToNUL(data)
		if p.Head >= 0 && within(raw, p.Head, p.HeadSize) && len(text) < p.HeadSize && raw[p.Head+len(text)] != 0 {
			return upToNUL(raw[p.Head : p.Head+p.HeadSize]), true, true, true
		}
		return text, true, full, true
	case p.Head >= 0:
		if !within(raw, p.Head, p.HeadSize) {
			return nil, false, false, false
		}
		if head := upToNUL(raw[p.Head : p.Head+p.HeadSize]); len(head) > 0 {
			return head, true, true, true
		}
	}
	return nil, false, full, true // without room for it, it cannot be told from a fault
}

// counted is the text of a field whose length stands in a word of its own: data is
// what there is of it.
func (f *Field) counted(raw, data []byte) (text []byte, present, cut, ok bool) {
	p := f.Probed
	if !within(raw, p.Length, 8) || p.Check >= 0 && !within(raw, p.Check, 4) {
		return nil, false, false, false
	}
	n, _ := LoadInt(raw[p.Length:p.Length+8], true)
	switch {
	case n == 0:
		return nil, true, false, true
	case int64(n) < 0, p.Check >= 0 && zero(data) && locLength(raw, p.Check) == 0:
		return nil, false, false, true
	case n > uint64(len(data)):
		return data, true, true, true
	}
	return data[:n], true, false, true
}

// end is where the data behind the location at f.Offset ends, in raw.
func (f *Field) end(raw []byte) int {
	off := int(raw[f.Offset]) | int(raw[f.Offset+1])<<8
	if f.Loc == LocRel {
		off += f.Offset + 4
	}
	return off + locLength(raw, f.Offset)
}

// led reports whether none of the pointers of Through is 0; ok is false where raw is too
// short.
func (p *Probed) led(raw []byte) (led, ok bool) {
	for _, off := range p.Through {
		if !within(raw, off, 8) {
			return false, false
		}
		if zero(raw[off : off+8]) {
			return false, true
		}
	}
	return true, true
}

// masked reads the bit of Mask; ok is false where raw is too short.
func (p *Probed) masked(raw []byte) (set, ok bool) {
	if p.Mask+4 > len(raw) {
		return false, false
	}
	v, _ := LoadInt(raw[p.Mask:p.Mask+4], false)
	return v>>(p.Bit&31)&1 != 0, true
}

// locLength is the length in the __data_loc at off.
func locLength(raw []byte, off int) int { return int(raw[off+2]) | int(raw[off+3])<<8 }

func upToNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// LoadInt reads b, 1, 2, 4 or 8 bytes in the order of the machine that recorded
// them (little endian), and widens it to 64 bits by its sign.
func LoadInt(b []byte, signed bool) (v uint64, ok bool) {
	switch len(b) {
	case 1:
		v = uint64(b[0])
		if signed {
			v = uint64(int64(int8(v)))
		}
	case 2:
		v = uint64(b[0]) | uint64(b[1])<<8
		if signed {
			v = uint64(int64(int16(v)))
		}
	case 4:
		v = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24
		if signed {
			v = uint64(int64(int32(v)))
		}
	case 8:
		v = uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
	default:
		return 0, false
	}
	return v, true
}
