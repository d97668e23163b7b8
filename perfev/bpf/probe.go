package bpf

// Probe describes the record that a program makes where a probe fires. Offsets are
// bytes from the start of the record, whose layout is that of the event's format file.
type Probe struct {
	// Type goes into common_type, the first two bytes.
	Type int
	// PID is the offset of common_pid.
	PID int
	// IP is the offset of the address of the place, Func that of the address of the
	// function that returns, -1 for none: only return probes by trampoline have it.
	IP, Func int
	// Size is the end of the fields in place; strings follow.
	Size int
	// Fields are what is fetched. What lies between them is 0.
	Fields []Field
	// Counted has the program count the hits beside the records: see [WordHits].
	Counted bool
}

// Field is one value in the record.
type Field struct {
	// Expr and Type are in the words of the kernel's uprobe_events
	// (Documentation/trace/uprobetracer.rst).
	Expr, Type string
	// Offset is its own, Check that of the __data_loc which is to have the length 1
	// where the value could be read, -1 for none.
	Offset, Check int
}
