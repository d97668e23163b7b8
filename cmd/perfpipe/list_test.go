package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

const softirqFormat = `name: softirq_entry
ID: 223
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:unsigned int vec;	offset:8;	size:4;	signed:0;
	field:int err;	offset:12;	size:4;	signed:1;
	field:u8 mac[6];	offset:16;	size:6;	signed:0;
	field:__data_loc char[] name;	offset:24;	size:4;	signed:0;

print fmt: "vec=%u [action=%s]", REC->vec, __print_symbolic(REC->vec, { 0, "HI" }, { 1, "TIMER" }), __print_flags(REC->err, "|", { 1, "A" }, { (1 << 4), "B" })
`

// sampleRecording is the recording that ships with perfpipe.
const sampleRecording = "../../perfev/perfdata/testdata/sample.data"

// callList runs the command and returns its exit status and both streams.
func callList(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	status = run(context.Background(), append([]string{"list"}, args...), strings.NewReader(stdin), &out, &errOut)
	return status, out.String(), errOut.String()
}

func TestListFormatFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "irq", "softirq_entry")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "format")
	if err := os.WriteFile(path, []byte(softirqFormat), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(bad, []byte("name: x\nformat:\n\tfield:int;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, stdin string
		args        []string
		status      int
		out, err    string
	}{
		{"name", "", []string{"--format", path}, 0, "irq:softirq_entry\n", ""},
		{"fields", softirqFormat, []string{"-v", "--format", "-"}, 0, `format:softirq_entry (id 223)
  u32        vec                      unsigned int
               HI=0 TIMER=1
  s32        err                      int
               flags: A=0x1 B=0x10
  u8[6]      mac                      u8[6]
  string     name                     __data_loc char[]
`, ""},
		{"no format file", "hello", []string{"--format", "-"}, 1, "", "no format file"},
		{"missing", "", []string{"--format", bad + "y"}, 1, "", "no such file"},
		{"malformed", "", []string{"--format", bad}, 1, "", "line 3"},
		{"format and names", softirqFormat, []string{"--format", "-", "sched:*"}, 2, "", "name no others"},
		{"recording", "", []string{"-i", sampleRecording, "irq:irq_*"}, 0, "irq:irq_handler_entry\nirq:irq_handler_exit\n", ""},
		{"recording, some taken away", "", []string{"-i", sampleRecording, "!*:*[a-s]*", "--exclude", "x:*"}, 2, "", "excluded"},
		{"recording, typing error", "", []string{"-i", sampleRecording, "irq:softirq_entri"}, 2, "", "did you mean irq:softirq_entry?"},
		{"recording, no such", "", []string{"-i", bad}, 1, "", "perf.data"},
		{"unknown flag", "", []string{"--nope"}, 2, "", "--help"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errOut := callList(tt.stdin, tt.args...)
			if status != tt.status || out != tt.out || !strings.Contains(errOut, tt.err) || (tt.err == "") != (errOut == "") {
				t.Errorf("got %d\n%s\n%s\nwant %d\n%s\n%s", status, out, errOut, tt.status, tt.out, tt.err)
			}
		})
	}
}

func TestListJSON(t *testing.T) {
	status, out, errOut := callList(softirqFormat, "--json", "--format", "-")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errOut)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	event := doc["events"].([]any)[0].(map[string]any)
	for key, want := range map[string]any{"event": "format:softirq_entry", "system": "format", "name": "softirq_entry", "id": 223.0, "size": 28.0} {
		if event[key] != want {
			t.Errorf("%s = %v, want %v", key, event[key], want)
		}
	}
	vec := event["fields"].([]any)[0].(map[string]any)
	for key, want := range map[string]any{
		"name": "vec", "type": "u32", "ctype": "unsigned int", "offset": 8.0, "size": 4.0, "signed": false,
		"array": false, "elem_size": 4.0, "count": 1.0, "loc": "static", "flags": false,
	} {
		if vec[key] != want {
			t.Errorf("field's %s = %v, want %v", key, vec[key], want)
		}
	}
	if s := vec["symbols"].([]any)[1].(map[string]any); s["name"] != "TIMER" || s["value"] != "1" {
		t.Errorf("symbol %v, want TIMER 1", s)
	}
	if n := len(event["common"].([]any)); n != 2 {
		t.Errorf("%d common fields, want 2", n)
	}
}

func TestListLive(t *testing.T) {
	testpriv.Need(t)
	status, out, errOut := callList("", "sched:sched_*", "!sched:sched_stat_*")
	if status != 0 || !strings.Contains(out, "sched:sched_switch\n") || strings.Contains(out, "stat_") {
		t.Errorf("got %d\n%s\n%s", status, out, errOut)
	}
	_, all, _ := callList("")
	if n := strings.Count(all, "\n"); n < 100 {
		t.Errorf("%d events, want hundreds", n)
	}
	status, _, errOut = callList("", "shed:sched_switch")
	if status != 2 || !strings.Contains(errOut, `unknown event "shed:sched_switch"; did you mean sched:sched_switch?`) {
		t.Errorf("got %d %s", status, errOut)
	}
}
