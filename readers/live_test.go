//go:build readers

package readers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// load opens files, starts processes and switches tasks: every event below fires.
const load = `for i in 1 2 3 4 5 6 7 8; do ls / /proc/self >/dev/null; cat /etc/hostname /etc/nonexistent >/dev/null 2>&1; done; true`

// TestRecordedTables records the running kernel, with the command as users have
// it, into all formats at once. What the readers must find is what the ndjson
// output of the same run says.
func TestRecordedTables(t *testing.T) {
	testpriv.Need(t)
	bin := build(t)
	tests := []struct {
		name   string
		events []string
	}{
		{"sched_switch", []string{"sched:sched_switch"}},
		{"sys_enter", []string{"raw_syscalls:sys_enter"}},
		{"openat", []string{"syscalls:sys_enter_openat"}},
		{"several", []string{"sched:sched_process_*", "syscalls:sys_*_openat", "task:*"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"-m", "8M"}
			for _, e := range tt.events {
				args = append(args, "-e", e)
			}
			recordAll(t, bin, append(args, "--", "sh", "-c", load)...)
		})
	}
}

// build makes the command and returns its path.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "perfpipe")
	run(t, "go", "build", "-o", bin, "../cmd/perfpipe")
	return bin
}

// recordAll records into all formats at once and has all readers read them.
func recordAll(t *testing.T, bin string, args ...string) {
	t.Helper()
	dir := t.TempDir()
	all := []string{"record"}
	for _, name := range []string{"all.parquet", "all.arrow", "all.arrows", "all.ndjson", "set"} {
		all = append(all, "-o", filepath.Join(dir, name))
	}
	run(t, bin, append(all, args...)...)
	values, rows := readLines(t, filepath.Join(dir, "all.ndjson"))
	if rows == 0 {
		t.Fatal("nothing was recorded")
	}
	e := expectation{Tables: map[string]table{"all": {Values: values}}}
	for _, format := range formats {
		e.Files = append(e.Files, file{Path: "all." + format, Format: format, Table: "all", Rows: rows})
	}
	addDataset(t, &e, dir, "set", rows)
	check(t, dir, e)
}

// addDataset adds the files of the dataset at dir/name, as its manifest lists them,
// whose rows of events have to come to rows.
func addDataset(t *testing.T, e *expectation, dir, name string, rows int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Files []struct {
			Path, Table string
			Rows        int
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("decode manifest: %v", err)
	}
	sum := 0
	for _, f := range m.Files {
		e.Tables[f.Table] = table{}
		e.Files = append(e.Files, file{Path: filepath.Join(name, f.Path), Format: "parquet", Table: f.Table, Rows: f.Rows})
		if !strings.HasPrefix(f.Table, "_") || f.Table == "_lifecycle" {
			sum += f.Rows
		}
	}
	if sum != rows {
		t.Errorf("rows of the dataset's events: got %d, want %d as in the ndjson output", sum, rows)
	}
}

// readLines makes the expected values of a table's columns from ndjson, which leaves
// nulls out, and counts its rows.
func readLines(t *testing.T, path string) (values map[string][]any, rows int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values = map[string][]any{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for ; lines.Scan(); rows++ {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		object, err := members(d)
		if err != nil {
			t.Fatalf("%s:%d: %v", path, rows+1, err)
		}
		for _, m := range object {
			column := values[m.name]
			column = append(column, make([]any, rows-len(column))...)
			values[m.name] = append(column, m.value)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	for name, column := range values {
		values[name] = append(column, make([]any, rows-len(column))...)
	}
	return values, rows
}

type member struct {
	name  string
	value any
}

// members reads one JSON object and keeps the order of its members.
func members(d *json.Decoder) ([]member, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	if tok != json.Delim('{') {
		return nil, fmt.Errorf("read object: got %v", tok)
	}
	var out []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		if name == "time" {
			at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(v))
			if err != nil {
				return nil, err
			}
			v = strconv.FormatInt(at.UnixMicro(), 10)
		}
		out = append(out, member{fmt.Sprint(name), plain(v)})
	}
	return out, nil
}

// plain turns numbers into the decimal strings of expect.json.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
