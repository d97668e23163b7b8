package configs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// folders writes a perfpipe.yaml for each of texts, "" is none, and returns their folders.
func folders(t *testing.T, texts ...string) []string {
	t.Helper()
	var dirs []string
	for _, s := range texts {
		dir := t.TempDir()
		dirs = append(dirs, dir)
		if s != "" {
			if err := os.WriteFile(filepath.Join(dir, DefaultsFile), []byte(s), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dirs
}

func TestLoadDefaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		env   map[string]string
		want  Defaults
		err   string
	}{
		{name: "nothing", files: []string{"", ""}},
		{name: "a file", files: []string{"ring: 16M\noutput: /var/lib/x\ncompression: gzip\nlevel: 6\non_fault: pass\ntypes: portable\n"},
			want: Defaults{RingBytes: 16 << 20, Output: "/var/lib/x", Compression: "gzip", Level: 6, OnFault: "pass", Types: "portable"}},
		{name: "the later file wins, key by key", files: []string{"ring: 16M\noutput: a", "", "ring: 32M"}, want: Defaults{RingBytes: 32 << 20, Output: "a"}},
		{name: "the environment wins", files: []string{"ring: 16M\noutput: a"}, env: map[string]string{"PERFPIPE_RING": "8M", "PERFPIPE_LEVEL": "3", "PERFPIPE_ON_FAULT": "pass"},
			want: Defaults{RingBytes: 8 << 20, Output: "a", Level: 3, OnFault: "pass"}},
		{name: "an empty variable says nothing", files: []string{"ring: 16M"}, env: map[string]string{"PERFPIPE_RING": ""}, want: Defaults{RingBytes: 16 << 20}},
		{name: "a comma is a comma", env: map[string]string{"PERFPIPE_OUTPUT": "a,b"}, want: Defaults{Output: "a,b"}},
		{name: "environment without a unit", env: map[string]string{"PERFPIPE_RING": "010"}, err: "environment: PERFPIPE_RING: ring: "},
		{name: "environment, octal", env: map[string]string{"PERFPIPE_LEVEL": "010"}, err: "PERFPIPE_LEVEL: level: 010 begins with 0"},
		{name: "environment, no such word", env: map[string]string{"PERFPIPE_TYPES": "x"}, err: "PERFPIPE_TYPES: types must be one of kernel, portable"},
		{name: "typo", files: []string{"rings: 16M"}, err: `perfpipe.yaml:1:1: unknown key "rings"; did you mean "ring"?`},
		{name: "what belongs into a job", files: []string{"ring: 16M\nevents: [a:b]\nduration: 1s"}, err: `perfpipe.yaml:2:1: "events" belongs into a job file`},
		{name: "bad value", files: []string{"\nring: 1"}, err: `perfpipe.yaml:2:7: ring: `},
		{name: "second document", files: []string{"ring: 1M\n---\nring: 2M"}, err: `perfpipe.yaml:2:1: a second YAML document`},
		{name: "empty file", files: []string{"# nothing"}, err: `perfpipe.yaml:1:1: the file is empty`},
		{name: "level of none", files: []string{"compression: none"}, env: map[string]string{"PERFPIPE_LEVEL": "3"}, err: "none has no levels"},
		{name: "level of gzip", env: map[string]string{"PERFPIPE_LEVEL": "12", "PERFPIPE_COMPRESSION": "gzip"}, err: "gzip's 1 to 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, k := range []string{"OUTPUT", "COMPRESSION", "LEVEL", "RING", "ON_FAULT", "TYPES"} {
				t.Setenv("PERFPIPE_"+k, tt.env["PERFPIPE_"+k])
			}
			got, err := LoadDefaults(folders(t, tt.files...))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %+v, %v, want an error with %q", got, err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestLoadDefaultsTrust(t *testing.T) {
	dirs := folders(t, "ring: 16M")
	path := filepath.Join(dirs[0], DefaultsFile)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadDefaults(dirs); err == nil || !strings.Contains(err.Error(), "others may write it (mode 0666)") {
		t.Errorf("a file that all may write: got %+v, %v", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadDefaults(dirs); err != nil {
		t.Errorf("a file that all may read: %v", err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if got, err := LoadDefaults(dirs); err == nil || !strings.Contains(err.Error(), "belongs to user id 65534") {
			t.Errorf("a stranger's file: got %+v, %v", got, err)
		}
	}
}

func TestLoadDefaultsNotAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := LoadDefaults([]string{file, filepath.Join(file, "x"), "/nonexistent"}); err != nil || got != (Defaults{}) {
		t.Errorf("got %+v, %v, want none", got, err)
	}
}

func TestDefaultsApply(t *testing.T) {
	d := Defaults{Output: "o", Compression: "gzip", Level: 5, RingBytes: 1 << 20, OnFault: "pass", Types: "portable"}
	for _, tt := range []struct {
		name     string
		in, want Capture
	}{
		{"nothing said", Capture{}, Capture{Outputs: []Output{{Path: "o", Compression: "gzip", Level: 5}}, RingBytes: 1 << 20, OnFault: "pass", Types: "portable"}},
		{"all said", Capture{Outputs: []Output{{Path: "p", Compression: "none"}}, RingBytes: 4096, OnFault: "drop", Types: "kernel"}, Capture{Outputs: []Output{{Path: "p", Compression: "none"}}, RingBytes: 4096, OnFault: "drop", Types: "kernel"}},
		{"only Parquet is compressed", Capture{Outputs: []Output{{Path: "a.csv"}, {Path: "-"}, {Path: "d", Format: "arrow"}, {Path: "b.parquet"}, {Path: "x", Format: "parquet"}}},
			Capture{Outputs: []Output{{Path: "a.csv"}, {Path: "-"}, {Path: "d", Format: "arrow"}, {Path: "b.parquet", Compression: "gzip", Level: 5}, {Path: "x", Format: "parquet", Compression: "gzip", Level: 5}}, RingBytes: 1 << 20, OnFault: "pass", Types: "portable"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.in
			d.Apply(&got)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestDefaultDirs(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "/x")
	if got, want := DefaultDirs(), []string{"/etc/perfpipe", "/x/perfpipe", "."}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Setenv("XDG_CONFIG_HOME", "relative")
	t.Setenv("HOME", "/home/a")
	if got, want := DefaultDirs(), []string{"/etc/perfpipe", "/home/a/.config/perfpipe", "."}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
