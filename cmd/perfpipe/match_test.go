package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filterCommand runs perfpipe with args and gives it in.
func filterCommand(t *testing.T, in string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(in), &out, &errs)
	return code, out.String(), errs.String()
}

const testFields = "a:s32,b:u8,s:string,c:char[16],v:u32[4],q:u64,n:s64,t:bool"

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name, filter, in, want string
		flags                  []string
	}{
		{"true", "a == 1", `{"a":1}`, `{"match":true}`, nil},
		{"absent is zero", "a == 0 && b == 0 && s == \"\" && c == \"\" && v[3] == 0", `{}`, `{"match":true}`, nil},
		{"null is zero", "a == 0", `{"a":null}`, `{"match":true}`, nil},
		{"unknown names", "a == 0", `{"zz":[1,{"x":2}]}`, `{"match":true}`, nil},
		{"negative", "a == -5 && n == -9223372036854775808", `{"a":-5,"n":-9223372036854775808}`, `{"match":true}`, nil},
		{"beyond 2^53", "q == 18446744073709551615", `{"q":18446744073709551615}`, `{"match":true}`, nil},
		{"2^53+1", "q == 9007199254740993", `{"q":9007199254740993}`, `{"match":true}`, nil},
		{"bool", "t == 1 && a == 1", `{"t":true,"a":true}`, `{"match":true}`, nil},
		{"array", "v[2] == 7 && v[3] == 0", `{"v":[0,0,7]}`, `{"match":true}`, nil},
		{"strings", `s ~ "*sh" && c == "x"`, `{"s":"bash","c":"x"}`, `{"match":true}`, nil},
		{"escaped bytes", `s == c"\xff\\"`, `{"s":"\\xff\\\\"}`, `{"match":true}`, nil},
		{"UTF-8", `s == "é"`, `{"s":"é"}`, `{"match":true}`, nil},
		{"fault", "1/a == 1", `{"a":0}`, `{"fault":"division by zero"}`, nil},
		{"fault that drops", "1/a == 1", `{"a":0}`, `{"fault":"division by zero","match":false}`, []string{"--on-fault=drop"}},
		{"fault that passes", "1/a == 1", `{"a":0}`, `{"fault":"division by zero","match":true}`, []string{"--on-fault=pass"}},
		{"metadata", `$cpu == 3 && CPU == 3 && $pid == 7 && $tid == 8 && common_pid == 8 && $comm == "zsh" && COMM ~ "z*" && $time == 12345678901234567`, `{"$cpu":3,"$pid":7,"$tid":8,"$comm":"zsh","$time":12345678901234567}`, `{"match":true}`, nil},
		{"a name of 15 bytes", `strlen($comm) == 15`, `{"$comm":"0123456789abcdefgh"}`, `{"match":true}`, nil},
		{"visited", "a == 1 && b == 1 || c == \"x\"", `{"a":0}`, `{"match":false,"visited":["a","c"]}`, []string{"--visited"}},
		{"visited with a fault", "b == 0 && 1/a == 1", `{}`, `{"fault":"division by zero","visited":["b","a"]}`, []string{"--visited"}},
		{"visited nothing", "has(zz) || has(a)", `{}`, `{"match":true,"visited":[]}`, []string{"--visited"}},
		{"kernel truncates", "b == 256", `{"b":0}`, `{"match":true}`, []string{"--kernel-compat"}},
		{"kernel suffix", `c ~ "*sh"`, `{"c":"bash"}`, `{"match":false}`, []string{"--kernel-compat"}},
		{"several lines", "a > 1", "{\"a\":1}\n\n  {\"a\":2}\n{\"a\":3}", "{\"match\":false}\n{\"match\":true}\n{\"match\":true}", nil},
		{"no lines", "a > 1", "", "", nil},
		{"program", "state u64 n; { n++; if (a == 3) { emit s8 x = -a; emit string y = s; emit bool z = b > 0; } return n > 1; }",
			"{\"a\":1}\n{\"a\":2}\n{\"a\":3,\"s\":\"q\\\"\"}", "{\"match\":false}\n{\"match\":true,\"emit\":{\"x\":null,\"y\":null,\"z\":null}}\n{\"match\":true,\"emit\":{\"x\":-3,\"y\":\"q\\\"\",\"z\":false}}", nil},
		{"program's only clause", "on any:event { return a == 1; }", `{"a":1}`, `{"match":true}`, nil},
		{"budget", "{ for (i = 0; i < 9; i++) {} return true; }", "{}", `{"fault":"budget exceeded"}`, []string{"--filter-budget", "5"}},
		{"visited by a program", "{ if (a == 1) return b == 1; return c == \"x\"; }", `{"a":0}`, `{"match":false,"visited":["a","c"]}`, []string{"--visited"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"match", tt.filter, "--fields", testFields}, tt.flags...)
			code, out, errs := filterCommand(t, tt.in, args...)
			if got := strings.TrimSpace(out); code != 0 || got != tt.want {
				t.Errorf("got %d %s %s, want %s", code, got, errs, tt.want)
			}
			for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
				if line != "" && !json.Valid([]byte(line)) {
					t.Errorf("got %s, want JSON", line)
				}
			}
		})
	}
}

func TestMatchErrors(t *testing.T) {
	format := filepath.Join("..", "..", "filters", "testdata", "formats", "sched.sched_switch")
	for _, tt := range []struct {
		name string
		args []string
		in   string
		code int
		want []string
	}{
		{"bad filter", []string{"a == 1 &&", "--fields", testFields}, "", exitUsage, []string{"a == 1 &&\n", "^"}},
		{"unknown field", []string{"aa == 1", "--fields", testFields}, "", exitUsage, []string{`unknown field "aa"`, "v u32[4]"}},
		{"unknown field of a format", []string{"prevpid == 1", "--format", format}, "", exitUsage, []string{"did you mean prev_pid?"}},
		{"bad JSON", []string{"a == 1", "--fields", testFields}, "{}\n{\"a\":}\n", exitRuntime, []string{"line 2"}},
		{"no object", []string{"a == 1", "--fields", testFields}, "5\n", exitRuntime, []string{"line 1"}},
		{"null", []string{"a == 1", "--fields", testFields}, "null\n", exitRuntime, []string{"line 1"}},
		{"two objects", []string{"a == 1", "--fields", testFields}, "{} {}\n", exitRuntime, []string{"line 1", "more than one"}},
		{"a fraction", []string{"a == 1", "--fields", testFields}, "{\"a\":1.5}\n", exitRuntime, []string{"line 1", "field a", "1.5"}},
		{"too big", []string{"a == 1", "--fields", testFields}, "{\"b\":256}\n", exitRuntime, []string{"field b", "8 bits"}},
		{"too small", []string{"a == 1", "--fields", testFields}, "{\"b\":-129}\n", exitRuntime, []string{"field b"}},
		{"text for a number", []string{"a == 1", "--fields", testFields}, "{\"a\":\"1\"}\n", exitRuntime, []string{"want an integer"}},
		{"number for text", []string{"a == 1", "--fields", testFields}, "{\"s\":1}\n", exitRuntime, []string{"want a string"}},
		{"long text", []string{"a == 1", "--fields", testFields}, "{\"c\":\"0123456789abcdefg\"}\n", exitRuntime, []string{"field c", "char[16]"}},
		{"long array", []string{"a == 1", "--fields", testFields}, "{\"v\":[1,2,3,4,5]}\n", exitRuntime, []string{"field v"}},
		{"array for a number", []string{"a == 1", "--fields", testFields}, "{\"a\":[1]}\n", exitRuntime, []string{"field a"}},
		{"huge text", []string{"a == 1", "--fields", testFields}, "{\"s\":\"" + strings.Repeat("x", 70000) + "\"}\n", exitRuntime, []string{"65535"}},
		{"no shape", []string{"a == 1"}, "", exitUsage, []string{"--event, --format and --fields"}},
		{"two shapes", []string{"a == 1", "--fields", "a:u8", "--format", format}, "", exitUsage, []string{"one of"}},
		{"no filter", []string{"--fields", "a:u8"}, "", exitUsage, []string{"one filter"}},
		{"bad type", []string{"a == 1", "--fields", "a:u7"}, "", exitUsage, []string{"a:u7"}},
		{"twice", []string{"a == 1", "--fields", "a:u8,a:u8"}, "", exitUsage, []string{"twice"}},
		{"no elements", []string{"a == 1", "--fields", "a:u8[0]"}, "", exitUsage, []string{"8192"}},
		{"bad name", []string{"a == 1", "--fields", "1a:u8"}, "", exitUsage, []string{"1a"}},
		{"bad on-fault", []string{"a == 1", "--fields", "a:u8", "--on-fault", "maybe"}, "", exitUsage, []string{"drop or pass"}},
		{"no such format", []string{"a == 1", "--format", "/nonexistent"}, "", exitUsage, []string{"/nonexistent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, errs := filterCommand(t, tt.in, append([]string{"match"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("got status %d, want %d: %s", code, tt.code, errs)
			}
			for _, w := range tt.want {
				if !strings.Contains(errs, w) {
					t.Errorf("%q is not in %s", w, errs)
				}
			}
		})
	}
}

// The kernel's start-up vectors through the command, as a user would try them.
func TestMatchStartupVectors(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "filters", "testdata", "kernel-filter", "startup_vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Filter     string
			Match      bool
			Record     json.RawMessage
			NotVisited string `json:"not_visited"`
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Vectors {
		var line bytes.Buffer
		if err := json.Compact(&line, v.Record); err != nil {
			t.Fatal(err)
		}
		code, out, errs := filterCommand(t, line.String()+"\n", "match", v.Filter, "--fields", "a:s32,b:s32,c:s32,d:s32,e:s32,f:s32,g:s32,h:s32", "--visited")
		var got struct {
			Match   bool
			Visited []string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
			t.Fatalf("%s: %d %s %s", v.Filter, code, out, errs)
		}
		if got.Match != v.Match {
			t.Errorf("%s: got %v, want %v", v.Filter, got.Match, v.Match)
		}
		for _, name := range got.Visited {
			if strings.Contains(v.NotVisited, name) {
				t.Errorf("%s: visited %v, must not visit %s", v.Filter, got.Visited, v.NotVisited)
			}
		}
	}
}
