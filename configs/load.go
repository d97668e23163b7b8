package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxFile is how long a job file may be, in bytes: enough for thousands of jobs,
// and little enough that a mistaken path to a large file is told at once.
const MaxFile = 1 << 20

// Check is what Load cannot know by itself, because other rooms do: what a filter
// means, and what this machine has. A nil function checks nothing. Faults get the
// place in the file of what was checked.
type Check struct {
	// Event returns what is wrong with a name, a glob or a probe, "!" before it
	// included. Functions beside a binary come as the probe that they stand for:
	// "uretprobe:BINARY:func".
	Event func(pattern string) error
	// Probe returns why the one probe that e selects cannot be had for the job.
	Probe func(job *Capture, e Event) error
	// Filter returns what is wrong with the filter of an entry of the job's events.
	// An error that has a method Position() int, or wraps one that has, names the
	// byte of the filter, and the fault gets that byte's line and column.
	Filter func(job *Capture, e Event) error
	// Program returns what is wrong with a program of the job, as Filter does.
	Program func(job *Capture, text string) error
	// Trigger returns what is wrong with the job's trigger, as Filter does.
	Trigger func(job *Capture) error
	// CPUs returns what is wrong with a list of processors such as "0,2-4".
	CPUs func(list string) error
	// Output returns what stands in the way of writing to an output.
	Output func(o Output) error
}

// positioned is an error that knows the byte of the filter that it is about.
type positioned interface{ Position() int }

// LoadFile is Load for the file at path. An error in the file is Faults; one of
// reading it is not.
func LoadFile(path string, check Check) ([]Capture, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read job file: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read job file: %w", err)
	}
	return Load(path, b, check)
}

// Load reads the job file b; file is its name in errors. A file is either one job,
// whose keys stand at the top, or a list of them below the key "jobs". docs/jobs.md
// describes each key.
//
// Decoding is strict: a key that does not exist or stands twice, a value of another
// type than the key's, a number without the unit that it needs, an anchor or an
// alias, a second document, and a capture that could not run are faults. All of
// them are found at once; the error is then [Faults], in the order of the lines,
// and no captures are returned.
//
// What a file does not say is left zero; [Defaults.Apply] fills in outputs and rings.
func Load(file string, b []byte, check Check) ([]Capture, error) {
	d := &decoder{file: file, src: newSourceText(b), check: check}
	jobs := d.document(b)
	if len(d.faults) > 0 {
		d.faults.sort()
		return nil, d.faults
	}
	return jobs, nil
}

// decoder walks the nodes of one file and gathers faults.
type decoder struct {
	file   string
	src    *sourceText
	check  Check
	faults Faults
}

func (d *decoder) failAt(line, column int, format string, args ...any) {
	d.faults = append(d.faults, Fault{File: d.file, Line: line, Column: column, Text: fmt.Sprintf(format, args...)})
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.failAt(n.Line, n.Column, format, args...)
}

const exampleJob = `the least is: {events: ["sched:*"], duration: 10s}`

// root returns the mapping of the file's only document, nil with faults where
// there is none. least says what a file has at least.
func (d *decoder) root(b []byte, least string) *yaml.Node {
	if len(b) > MaxFile {
		d.failAt(1, 1, "the file is longer than %d bytes: it cannot be meant", MaxFile)
		return nil
	}
	if off := badText(b); off >= 0 {
		line, col := d.src.position(off)
		d.failAt(line, col, "byte 0x%02x is no text: the file must be UTF-8 without control characters", b[off])
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.failAt(1, 1, "the file is empty; %s", least)
		return nil
	case err != nil:
		d.syntax(b, err)
		return nil
	}
	root := doc.Content[0]
	var next yaml.Node
	switch err := dec.Decode(&next); {
	case err == nil:
		d.fail(&next, "a second YAML document begins here; several jobs stand in one document, below 'jobs:'")
	case !errors.Is(err, io.EOF):
		d.syntax(b, err)
	}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		d.fail(root, "the file is empty; %s", least)
		return nil
	}
	if !d.is(root, yaml.MappingNode, "the file", "a mapping of keys") {
		return nil
	}
	return root
}

// document decodes a job file.
func (d *decoder) document(b []byte) []Capture {
	root := d.root(b, exampleJob)
	if root == nil {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "jobs" {
			return d.jobs(root)
		}
	}
	var c Capture
	d.job(root, &c)
	return []Capture{c}
}

// jobs decodes a file that has the key "jobs".
func (d *decoder) jobs(root *yaml.Node) []Capture {
	var list []Capture
	names := map[string]int{}
	// A job's keys beside "jobs" are not unknown, but at the wrong place.
	for i := 0; i+1 < len(root.Content); i += 2 {
		if k := root.Content[i]; k.Value != "jobs" && knownJobKey(k.Value) {
			d.fail(k, "%q stands beside \"jobs\": a file is either one job or a list of jobs; move it into each job", k.Value)
		}
	}
	d.mapping(root, "a job file", []key{{"jobs", func(n *yaml.Node) {
		if !d.is(n, yaml.SequenceNode, "jobs", "a list") {
			return
		}
		if len(n.Content) == 0 {
			d.fail(n, "the list of jobs is empty; %s", exampleJob)
		}
		for _, e := range n.Content {
			var c Capture
			before := len(d.faults)
			at := d.job(e, &c)
			switch {
			case len(d.faults) > before && c.Name == "":
			case c.Name == "":
				if len(n.Content) > 1 {
					d.fail(e, "this job has no name; where a file has several, each needs one")
				}
			case names[c.Name] > 0:
				d.fail(at, "the name %q is taken by the job at line %d", c.Name, names[c.Name])
			default:
				names[c.Name] = at.Line
			}
			list = append(list, c)
		}
	}}}, knownJobKey)
	return list
}

// badText returns where b is not UTF-8 or has a character that YAML does not allow, or -1.
func badText(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff {
			return i
		}
		i += n
	}
	return -1
}

var (
	lineOf = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	// The scanner counts lines from 1, the parser behind it, which says these, from 0.
	parserSays = regexp.MustCompile(`^(did not find expected (<|node content|key|'-'|',')|found undefined tag|could not find expected directive)`)
	anchorOf   = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntax turns the parser's error into a fault.
func (d *decoder) syntax(b []byte, err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := anchorOf.FindStringSubmatch(text); m != nil {
		line, col := d.src.position(max(0, bytes.Index(b, []byte("*"+m[1]))))
		d.failAt(line, col, "%s", aliasText("*"+m[1]))
		return
	}
	line := 1
	if m := lineOf.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
		if parserSays.MatchString(text) {
			line++
		}
	}
	line = min(max(line, 1), len(d.src.starts))
	hint := ""
	switch {
	case strings.Contains(text, "cannot start any token") && strings.Contains(text, "tab"), strings.Contains(text, "found a tab"):
		hint = "; indent with blanks"
	case strings.Contains(text, "mapping values are not allowed"):
		hint = "; a value that holds ': ' needs quotes, and keys of one job the same indentation"
	case strings.Contains(text, "alphabetic or numeric character"):
		hint = "; a value that begins with * or & needs quotes, as in '*:sys_enter'"
	case strings.Contains(text, "did not find expected"):
		hint = "; a value that begins with a quote, a bracket or one of & * ! % @ needs quotes around the whole of it"
	}
	d.failAt(line, 0, "this is no YAML: %s%s", text, hint)
}

func aliasText(s string) string {
	return fmt.Sprintf("%s is an alias to YAML, and job files have none; where it is a glob, quote it: '%s'", s, s)
}
