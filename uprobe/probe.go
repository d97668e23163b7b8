package uprobe

import (
	"fmt"
	"strings"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/uprobe/internal/fetch"
)

// RetMode is how returns are found.
type RetMode uint8

const (
	// RetAuto chooses by the binary: see [Resolver.Plan].
	RetAuto RetMode = iota
	// RetSites probes the function's RET instructions. It disturbs nothing on the
	// stack; it does not see a function that leaves by jumping to another.
	RetSites
	// RetTrampoline has the kernel put an address of its own in place of the return
	// address (a uretprobe). It kills Go programs, aborts C++ programs when an
	// exception passes, and follows 64 calls deep.
	RetTrampoline
)

// ParseRetMode reads "auto", "sites" or "trampoline"; "" is auto.
func ParseRetMode(s string) (RetMode, error) {
	switch s {
	case "", "auto":
		return RetAuto, nil
	case "sites":
		return RetSites, nil
	case "trampoline":
		return RetTrampoline, nil
	}
	return 0, fmt.Errorf("%q is none of auto, sites and trampoline", s)
}

func (m RetMode) String() string {
	return [...]string{"auto", "sites", "trampoline"}[m]
}

// Probe is one probe as it will be: a table, and the places in a file that fill it.
type Probe struct {
	// Spec is what was asked for.
	Spec *Spec
	// System and Name are its name among events: "uprobe" and "bash:readline".
	System, Name string
	// Table is the name of its table: "uprobe.bash.readline".
	Table string
	// Binary is the file, in the file system of the process that it was looked up for;
	// Path is where this process, and so the kernel, finds it.
	Binary, Path string
	// BuildID is the file's in hex, "" without one.
	BuildID string
	// Warnings are what the user should know before relying on it.
	Warnings []string
	// Variants are what becomes events of the kernel: places whose arguments have the
	// same names and types. There is one, but for static probes whose sites differ.
	Variants []Variant
	// Mode is how a return probe finds returns, RetAuto for others.
	Mode RetMode
	// jumpers are the functions that leave by jumping to others as well, jumps the
	// places where they do.
	jumpers []string
	jumps   int
}

// Variant is one event of the kernel.
type Variant struct {
	// Schema is what its records will look like; ID is 0 until it is installed.
	Schema *perfpipe.Schema
	// Sites are where it fires, in the order of their offsets.
	Sites []Site
	// columns are the arguments in order, guards the hidden fields behind them.
	columns []column
	guards  []guard
	// numbered says that records tell their site's function by its number.
	numbered bool
}

// Site is one place where a probe fires.
type Site struct {
	// Func is the function, "" where it is not known.
	Func string
	// Offset is the place in the file, RefCtr that of the counter which turns the
	// probe on, 0 without one.
	Offset, RefCtr uint64
	// args are what is fetched here: the same names and types at every site.
	args []fetch.Arg
}

// funcField is the field that tells the function where a probe has several.
const funcField = "func"

// Event returns "system:name".
func (p *Probe) Event() string { return p.System + ":" + p.Name }

// Rename gives the probe another name among events, and its table with it.
func (p *Probe) Rename(name string) {
	p.Name = name
	p.Table = cleanName(p.System + "." + name)
	for i := range p.Variants {
		s := *p.Variants[i].Schema
		s.Name, s.Table = p.Name, p.Table
		p.Variants[i].Schema = &s
	}
}

// lines returns the definitions of variant i for uprobe_events, under that name. path is
// the file as the kernel is to open it, without blanks and colons.
func (p *Probe) lines(i int, group, event, path string) []string {
	v := &p.Variants[i]
	kind := "p"
	if p.Mode == RetTrampoline {
		kind = "r"
	}
	lines := make([]string, 0, len(v.Sites))
	numbers := map[string]int{}
	for _, s := range v.Sites {
		var b strings.Builder
		fmt.Fprintf(&b, "%s:%s/%s %s:0x%x", kind, group, event, path, s.Offset)
		if s.RefCtr != 0 {
			fmt.Fprintf(&b, "(0x%x)", s.RefCtr)
		}
		if v.numbered {
			if _, ok := numbers[s.Func]; !ok {
				numbers[s.Func] = len(numbers)
			}
			fmt.Fprintf(&b, " %s=\\%d:u32", funcField, numbers[s.Func])
		}
		for _, t := range v.fetches(&s) {
			fmt.Fprintf(&b, " %s=%s:%s", t.name, t.expr, t.typ)
		}
		lines = append(lines, b.String())
	}
	return lines
}

// cleanName makes a name fit for a folder and for globs of every reader.
func cleanName(s string) string {
	clean := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-', r == '+':
			return r
		case r == ':':
			return '.'
		}
		return '_'
	}
	s = strings.Map(clean, strings.ReplaceAll(s, "::", "."))
	const most = 120
	if len(s) > most {
		s = s[:most]
	}
	return strings.Trim(s, ".")
}
