package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func callConvert(args ...string) (status int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	status = run(context.Background(), append([]string{"convert"}, args...), strings.NewReader(""), &out, &errOut)
	return status, out.String(), errOut.String()
}

// goldenRows are the rows that perf itself sees in the sample.
func goldenRows(t *testing.T) (rows []map[string]any) {
	t.Helper()
	b, err := os.ReadFile("../../perfev/perfdata/testdata/sample.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return jsonLines(t, string(b))
}

func jsonLines(t *testing.T, text string) (rows []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		rows = append(rows, row)
	}
	return rows
}

func TestConvertRows(t *testing.T) {
	golden := goldenRows(t)
	field := func(row map[string]any, name string) any { return row["fields"].(map[string]any)[name] }
	for _, tt := range []struct {
		name string
		args []string
		want func(row map[string]any) bool
	}{
		{"all", nil, func(map[string]any) bool { return true }},
		{"one event", []string{"-e", "irq:irq_handler_entry"}, func(r map[string]any) bool { return r["event"] == "irq:irq_handler_entry" }},
		{"filter on everything", []string{"--filter", `$comm == "ls"`}, func(r map[string]any) bool { return r["comm"] == "ls" }},
		{"filter on an event", []string{"-e", "sched:sched_switch", "--filter", "prev_prio < 120 || next_pid == 0"}, func(r map[string]any) bool {
			return r["event"] == "sched:sched_switch" && (field(r, "prev_prio").(float64) < 120 || field(r, "next_pid").(float64) == 0)
		}},
		{"filter the kernel could say alone", []string{"-e", "irq:softirq_entry", "--filter", "vec == 9"}, func(r map[string]any) bool {
			return r["event"] == "irq:softirq_entry" && field(r, "vec").(float64) == 9
		}},
		{"two selections, one filtered", []string{"-e", "irq:softirq_exit", "-e", "irq:softirq_entry", "--filter", "vec == 9"}, func(r map[string]any) bool {
			return r["event"] == "irq:softirq_exit" || r["event"] == "irq:softirq_entry" && field(r, "vec").(float64) == 9
		}},
		{"exclude", []string{"-e", "irq:*", "--exclude", "irq:soft*"}, func(r map[string]any) bool {
			return strings.HasPrefix(r["event"].(string), "irq:irq_")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errOut := callConvert(append([]string{"--sample", "-o", "-", "--format", "ndjson"}, tt.args...)...)
			if status != 0 {
				t.Fatalf("status %d: %s", status, errOut)
			}
			var want []any
			for _, r := range golden {
				if tt.want(r) {
					want = append(want, r["ts"])
				}
			}
			rows := jsonLines(t, out)
			if len(rows) != len(want) || len(want) == 0 {
				t.Fatalf("%d rows, want %d", len(rows), len(want))
			}
			for i := range rows {
				if rows[i]["ts"] != want[i] {
					t.Fatalf("row %d at %v, want %v", i, rows[i]["ts"], want[i])
				}
			}
			if !strings.Contains(errOut, "[ perfpipe convert: wrote ") {
				t.Errorf("no closing line in %q", errOut)
			}
		})
	}
}

func TestConvertDataset(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	status, _, errOut := callConvert("--sample", "-o", dir)
	if status != 0 {
		t.Fatalf("status %d: %s", status, errOut)
	}
	b, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	// The manifest tells of the machine that recorded, not of this one.
	if m["host"] != "vm" || !strings.HasPrefix(m["kernel"].(string), "6.18") || m["complete"] != true {
		t.Errorf("host %v, kernel %v, complete %v", m["host"], m["kernel"], m["complete"])
	}
	for _, table := range []string{"sched.sched_switch", "irq.irq_handler_entry", "_tasks", "_lost", "_clock"} {
		if _, err := os.Stat(filepath.Join(dir, table, "part-000000.parquet")); err != nil {
			t.Error(err)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	whole, err := os.ReadFile(sampleRecording)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	damaged := bytes.Clone(whole)
	clear(damaged[40000:40100])
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		err    string
	}{
		{"nothing", nil, 2, "perfpipe convert IN.data -o OUT"},
		{"two files", []string{"a", "b"}, 2, "not 2"},
		{"sample and file", []string{"--sample", "a"}, 2, "name one"},
		{"not there", []string{filepath.Join(dir, "none")}, 1, "no such file"},
		{"text", []string{write("text", []byte("hello, this is a text"))}, 1, "no perf.data"},
		{"cut off", []string{write("cut", whole[:20000])}, 1, "cut off"},
		{"damaged in the middle", []string{write("damaged", damaged)}, 1, "damaged"},
		{"unknown event", []string{"--sample", "-e", "sched:sched_swich"}, 2, "did you mean sched:sched_switch?"},
		{"unknown field", []string{"--sample", "-e", "sched:sched_switch", "--filter", "prev_pidd == 1"}, 2, "prev_pid"},
		{"filter before -e", []string{"--sample", "--filter", "$pid == 1", "-e", "sched:sched_switch"}, 2, "put -e EVENT first"},
		{"on-fault", []string{"--sample", "--on-fault", "x"}, 2, "neither drop nor pass"},
		{"types", []string{"--sample", "--types", "x"}, 2, "neither kernel nor portable"},
		{"string that only the kernel reads", []string{"--sample", "-e", "irq:tasklet_entry", "--filter", `func.ustring == "x"`}, 2, "func"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.parquet")
			status, _, errOut := callConvert(append(tt.args, "-o", out)...)
			if status != tt.status || !strings.Contains(errOut, tt.err) {
				t.Errorf("got %d %q, want %d with %q", status, errOut, tt.status, tt.err)
			}
		})
	}
}

func TestConvertFailOnLoss(t *testing.T) {
	whole, err := os.ReadFile(sampleRecording)
	if err != nil {
		t.Fatal(err)
	}
	// The first sample after the middle gets an id that no event has.
	i := bytes.Index(whole[30000:], []byte{9, 0, 0, 0}) + 30000
	whole[i+8+7] = 0x7f
	path := filepath.Join(t.TempDir(), "lost.data")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want int
	}{{nil, exitOK}, {[]string{"--fail-on-loss"}, exitLoss}} {
		out := filepath.Join(t.TempDir(), "out.parquet")
		status, _, errOut := callConvert(append(tt.args, path, "-o", out)...)
		if status != tt.want || !strings.Contains(errOut, "wrote 410 rows") || !strings.Contains(errOut, "(1 lost)") {
			t.Errorf("%v: got %d %q, want %d, 410 rows and 1 lost", tt.args, status, errOut, tt.want)
		}
	}
}
