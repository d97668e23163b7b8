package symbols

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// cache writes an ld.so.cache as glibc's ldconfig does.
func cache(libs ...library) []byte {
	le := binary.LittleEndian
	b := []byte(cacheMagic)
	b = le.AppendUint32(b, uint32(len(libs)))
	b = append(b, make([]byte, cacheHeader-len(b))...)
	b[28] = 2 // little endian
	var text []byte
	at := uint32(cacheHeader + cacheEntry*len(libs))
	for _, l := range libs {
		b = le.AppendUint32(b, l.flags)
		b = le.AppendUint32(b, at+uint32(len(text)))
		text = append(append(text, l.soname...), 0)
		b = le.AppendUint32(b, at+uint32(len(text)))
		text = append(append(text, l.path...), 0)
		b = le.AppendUint32(b, 0)
		b = le.AppendUint64(b, l.hwcap)
	}
	return append(b, text...)
}

func testLibraries() []library {
	return []library{
		{"libc.so.6", "/lib/i386-linux-gnu/libc.so.6", 0x0003, 0},
		{"libc.so.6", "/lib/fast/libc.so.6", 0x0303, 1 << 62},
		{"libc.so.6", "/lib/x86_64-linux-gnu/libc.so.6", 0x0303, 0},
		{"libssl.so.1.1", "/lib/libssl.so.1.1", 0x0303, 0},
		{"libssl.so.3", "/lib/libssl.so.3", 0x0303, 0},
		{"libonly.so.1", "/lib/fast/libonly.so.1", 0x0303, 1 << 62},
	}
}

func TestParseCache(t *testing.T) {
	libs := testLibraries()
	whole := cache(libs...)
	for name, b := range map[string][]byte{"new": whole, "behind an old one": append([]byte("ld.so-1.7.0\x00\x00\x00\x00\x00"), whole...)} {
		got, err := parseCache(b)
		if err != nil || !reflect.DeepEqual(got, libs) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for n := range whole {
		if got, err := parseCache(whole[:n]); err == nil && len(got) >= len(libs) {
			t.Errorf("got every library of the first %d bytes", n)
		}
	}
	for _, s := range []string{"", "ld.so-1.7.0", cacheMagic, cacheMagic + strings.Repeat("\xff", 100)} {
		if got, err := parseCache([]byte(s)); err == nil {
			t.Errorf("%q: got %v", s, got)
		}
	}
}

func TestFindLibrary(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "etc/ld.so.cache"), string(cache(testLibraries()...)))
	write(t, filepath.Join(root, "usr/lib64/libfolder.so.2"), "")
	o := Options{Root: root, Machine: elf.EM_X86_64}
	for name, want := range map[string]string{
		"libc.so.6": "/lib/x86_64-linux-gnu/libc.so.6", "libc": "/lib/x86_64-linux-gnu/libc.so.6", "libssl": "/lib/libssl.so.3",
		"libssl.so.1.1": "/lib/libssl.so.1.1", "libonly.so.1": "/lib/fast/libonly.so.1", "libfolder.so.2": "/usr/lib64/libfolder.so.2", "libfolder": "/usr/lib64/libfolder.so.2",
	} {
		if got, err := FindLibrary(name, o); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	if got, err := FindLibrary("libsls.so.3", o); err == nil || !strings.Contains(err.Error(), "did you mean libssl") {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := FindLibrary("lib/x.so", o); err == nil {
		t.Errorf("got %q for a path", got)
	}
	if got, err := FindLibrary("libnone.so", Options{Root: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "/etc/ld.so.cache is not there") {
		t.Errorf("got %q, %v", got, err)
	}
}

// The system's own cache names what is there.
func TestFindLibraryOfSystem(t *testing.T) {
	if _, err := os.Stat("/etc/ld.so.cache"); err != nil {
		t.Skip(err)
	}
	path, err := FindLibrary("libc", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, path, Options{})
	if fns, err := f.Lookup("malloc"); err != nil || len(fns) != 1 {
		t.Errorf("got %v, %v", fns, err)
	}
}

func TestFindCommand(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/bin/tool"), "")
	write(t, filepath.Join(root, "bin/notes"), "")
	if err := os.Chmod(filepath.Join(root, "bin/notes"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", strings.Join([]string{"relative", "/bin", "/usr/bin"}, string(filepath.ListSeparator)))
	o := Options{Root: root}
	if got, err := FindCommand("tool", o); err != nil || got != "/usr/bin/tool" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := FindCommand("./x", o); err != nil || got != "./x" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, name := range []string{"notes", "none", ""} {
		if got, err := FindCommand(name, o); err == nil {
			t.Errorf("%q: got %q", name, got)
		}
	}
}

func FuzzCache(f *testing.F) {
	f.Add(cache(testLibraries()...))
	f.Add([]byte(cacheMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		libs, err := parseCache(b)
		if err != nil && libs != nil {
			t.Fatal("libraries beside an error")
		}
		if len(libs)*cacheEntry > len(b) {
			t.Fatalf("got %d libraries of %d bytes", len(libs), len(b))
		}
		for _, l := range libs {
			if l.soname == "" || !strings.HasPrefix(l.path, "/") || !bytes.Contains(b, []byte(l.path)) {
				t.Fatalf("got %+v", l)
			}
		}
	})
}
