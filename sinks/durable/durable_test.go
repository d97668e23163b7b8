//go:build unix

package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func openTemp(t *testing.T) (*Dir, string) {
	t.Helper()
	path := t.TempDir()
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, path
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestCommit(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	for _, mask := range []int{0o000, 0o022, 0o777} {
		unix.Umask(mask)
		d, path := openTempUnder(t, mask)
		f, err := d.Create("x.parquet")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got := names(t, path); !strings.HasPrefix(got, ".") || strings.Contains(got, " ") {
			t.Errorf("umask %o: names before the commit: got %q, want one that begins with a dot", mask, got)
		}
		var seen string
		err = f.Commit(func(r io.ReaderAt, size int64) error {
			b := make([]byte, size)
			_, err := r.ReadAt(b, 0)
			seen = string(b)
			return err
		})
		if err != nil || seen != "hello" {
			t.Errorf("umask %o: commit: got %v, and %q to check, want hello", mask, err, seen)
		}
		if got := names(t, path); got != "x.parquet" {
			t.Errorf("umask %o: names: got %q, want x.parquet", mask, got)
		}
		st, err := os.Stat(filepath.Join(path, "x.parquet"))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("umask %o: mode: got %v, %v, want 0600", mask, st.Mode().Perm(), err)
		}
		if err := f.Commit(nil); err != nil {
			t.Errorf("second commit: got %v, want nil", err)
		}
		f.Abort()
		if got := names(t, path); got != "x.parquet" {
			t.Errorf("names after an abort of what was committed: got %q, want x.parquet", got)
		}
	}
}

// openTempUnder makes a dataset folder under the umask and checks its mode.
func openTempUnder(t *testing.T, mask int) (*Dir, string) {
	t.Helper()
	old := unix.Umask(0o022)
	parent := t.TempDir()
	unix.Umask(mask)
	defer unix.Umask(old)
	path := filepath.Join(parent, "ds")
	d, made, err := NewDir(path)
	if err != nil || !made {
		t.Fatalf("new folder: got %v, %v, want it made", made, err)
	}
	t.Cleanup(func() { d.Close() })
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder: got %v, %v, want 0700", st.Mode().Perm(), err)
	}
	return d, path
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string) (path string)
		want []string
	}{
		{"existing file", func(t *testing.T, dir string) string {
			os.WriteFile(filepath.Join(dir, "out"), []byte("old"), 0o600)
			return filepath.Join(dir, "out")
		}, []string{"out", "exists already", "another name"}},
		{"link to nothing", func(t *testing.T, dir string) string {
			os.Symlink("nowhere", filepath.Join(dir, "out"))
			return filepath.Join(dir, "out")
		}, []string{"out", "symbolic link"}},
		{"link to a file", func(t *testing.T, dir string) string {
			os.WriteFile(filepath.Join(dir, "target"), []byte("old"), 0o600)
			os.Symlink("target", filepath.Join(dir, "out"))
			return filepath.Join(dir, "out")
		}, []string{"out", "symbolic link"}},
		{"folder of that name", func(t *testing.T, dir string) string {
			os.Mkdir(filepath.Join(dir, "out"), 0o700)
			return filepath.Join(dir, "out")
		}, []string{"out", "a folder has that name"}},
		{"folder is a link", func(t *testing.T, dir string) string {
			os.Mkdir(filepath.Join(dir, "real"), 0o700)
			os.Symlink("real", filepath.Join(dir, "link"))
			return filepath.Join(dir, "link", "out")
		}, []string{"link", "symbolic link"}},
		{"folder is a file", func(t *testing.T, dir string) string {
			os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
			return filepath.Join(dir, "file", "out")
		}, []string{"file", "no folder"}},
		{"no such folder", func(t *testing.T, dir string) string {
			return filepath.Join(dir, "missing", "out")
		}, []string{"missing", "make the folder first"}},
		{"others may write", func(t *testing.T, dir string) string {
			os.Mkdir(filepath.Join(dir, "open"), 0o700)
			os.Chmod(filepath.Join(dir, "open"), 0o707)
			return filepath.Join(dir, "open", "out")
		}, []string{"open", "others may write", "0707", "chmod go-w"}},
		{"the group may write", func(t *testing.T, dir string) string {
			os.Mkdir(filepath.Join(dir, "open"), 0o700)
			os.Chmod(filepath.Join(dir, "open"), 0o770)
			return filepath.Join(dir, "open", "out")
		}, []string{"open", "others may write", "0770"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := c.make(t, dir)
			before := names(t, dir)
			err := func() error {
				d, err := OpenDir(filepath.Dir(path))
				if err != nil {
					return err
				}
				defer d.Close()
				f, err := d.Create(filepath.Base(path))
				if err == nil {
					f.Abort()
				}
				return err
			}()
			for _, w := range c.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error: got %v, want one that says %q", err, w)
				}
			}
			if got := names(t, dir); got != before {
				t.Errorf("names: got %q, want %q as before", got, before)
			}
		})
	}
}

func TestStickyFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tmp")
	os.Mkdir(dir, 0o700)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	d, made, err := NewDir(filepath.Join(dir, "ds"))
	if err != nil || !made {
		t.Fatalf("new folder in a sticky one: got %v, %v, want it made", made, err)
	}
	d.Close()
}

func TestNewDir(t *testing.T) {
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	os.Mkdir(full, 0o700)
	os.WriteFile(filepath.Join(full, "old"), nil, 0o600)
	if _, _, err := NewDir(full); err == nil || !strings.Contains(err.Error(), "not empty") || !strings.Contains(err.Error(), full) {
		t.Errorf("folder with something in it: got %v, want an error that says so", err)
	}
	empty := filepath.Join(dir, "empty")
	os.Mkdir(empty, 0o700)
	d, made, err := NewDir(empty + "/")
	if err != nil || made {
		t.Fatalf("empty folder: got %v, %v, want it taken", made, err)
	}
	d.Close()
	os.Symlink("empty", filepath.Join(dir, "link"))
	if _, _, err := NewDir(filepath.Join(dir, "link")); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("link to a folder: got %v, want it refused", err)
	}
}

func TestRenameReplacesNothing(t *testing.T) {
	for name, move := range map[string]func(fd int, from, to string) error{"rename": rename, "relink": relink} {
		t.Run(name, func(t *testing.T) {
			d, path := openTemp(t)
			os.WriteFile(filepath.Join(path, "a"), []byte("a"), 0o600)
			os.WriteFile(filepath.Join(path, "b"), []byte("b"), 0o600)
			if err := move(int(d.f.Fd()), "a", "b"); !errors.Is(err, unix.EEXIST) {
				t.Errorf("onto a file: got %v, want EEXIST", err)
			}
			if err := move(int(d.f.Fd()), "a", "c"); err != nil {
				t.Errorf("onto nothing: got %v", err)
			}
			if got := names(t, path); got != "b c" {
				t.Errorf("names: got %q, want b c", got)
			}
		})
	}
}

// TestTakenMeanwhile lets another file take the name while ours is written.
func TestTakenMeanwhile(t *testing.T) {
	d, path := openTemp(t)
	f, err := d.Create("x")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(path, "x"), []byte("theirs"), 0o600)
	if err := f.Commit(nil); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("commit: got %v, want an error that the file exists", err)
	}
	if b, err := os.ReadFile(filepath.Join(path, "x")); string(b) != "theirs" {
		t.Errorf("their file: got %q, %v, want it untouched", b, err)
	}
	if got := names(t, path); got != "x" {
		t.Errorf("names: got %q, want x alone", got)
	}
}

func TestFailuresLeaveNothing(t *testing.T) {
	for name, fail := range map[string]func(f *File) error{
		"check": func(f *File) error {
			return f.Commit(func(io.ReaderAt, int64) error { return errors.New("rows differ") })
		},
		"write": func(f *File) error {
			f.f.Close() // the next write fails
			f.Write([]byte("x"))
			if _, err := f.Write([]byte("y")); err == nil {
				return nil
			}
			return f.Commit(nil)
		},
		"someone else writes": func(f *File) error {
			if _, err := f.f.WriteString("more"); err != nil {
				return err
			}
			return f.Commit(nil)
		},
		"abort": func(f *File) error { f.Abort(); return f.Commit(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			d, path := openTemp(t)
			f, err := d.Create("x")
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("abc"))
			if err := fail(f); err == nil || !strings.Contains(err.Error(), "x") {
				t.Errorf("error: got %v, want one that names the file", err)
			}
			if got := names(t, path); got != "" {
				t.Errorf("names: got %q, want none", got)
			}
		})
	}
}

// TestSub: files of a folder in a folder, and no descriptor for it.
func TestSub(t *testing.T) {
	d, path := openTemp(t)
	s, err := d.Sub("table")
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(path, "table"))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode: got %v, %v, want 0700", st.Mode().Perm(), err)
	}
	for _, name := range []string{"a", "b"} {
		f, err := s.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Create("a"); err == nil {
		t.Error("a name that is taken: got no error, want one")
	}
	if err := s.Remove("a"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Join(path, "table")); got != "b" {
		t.Errorf("names: got %q, want b", got)
	}
	if got := names(t, path); got != "table" {
		t.Errorf("names above: got %q, want table", got)
	}
	d.Prune("table")
	if got := names(t, path); got != "table" {
		t.Errorf("after pruning a folder with a file: got %q, want table", got)
	}
	os.Symlink("table", filepath.Join(path, "link"))
	if _, err := d.Sub("link"); err == nil {
		t.Error("a link for a folder: got no error, want one")
	}
}
