//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// postgres is a database server of the test's own.
type postgres struct {
	t    *testing.T
	bin  string // the folder of its programs
	dir  string // of its socket
	pid  int
	user *syscall.SysProcAttr
}

// postgresPrograms is the folder of Debian's newest server.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 {
		if testpriv.Required() {
			t.Fatal("no postgres; install it (Debian: apt-get install postgresql)")
		}
		t.Skip("no postgres; install it (Debian: apt-get install postgresql)")
	}
	return filepath.Dir(dirs[len(dirs)-1])
}

// startPostgres makes a database and starts its server, which the end of the test stops.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	p := &postgres{t: t, bin: postgresPrograms(t), dir: t.TempDir()}
	// It refuses to run as root.
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			t.Fatal(err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	p.user = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := os.Chown(p.dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	for d := filepath.Dir(p.dir); d != filepath.Dir(os.TempDir()) && d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(p.dir, "data")
	if out, err := p.command("initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync", "--no-instructions", "--no-locale", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := p.command("postgres", "-D", data, "-k", p.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=4MB", "-c", "max_connections=5", "-c", "autovacuum=off")
	var log safeBuffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = server.Process.Pid
	t.Cleanup(func() {
		// SIGINT is its fast shutdown.
		_ = server.Process.Signal(syscall.SIGINT)
		stop := time.AfterFunc(patience, func() { _ = server.Process.Kill() })
		_ = server.Wait()
		stop.Stop()
	})
	eventually(t, "postgres takes queries", func() bool { return p.try("select 1") == nil })
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = p.dir, p.user
	cmd.Env = []string{"PATH=" + p.bin + ":/usr/bin:/bin", "HOME=" + p.dir, "LC_ALL=C"}
	return cmd
}

func (p *postgres) try(query string) error {
	var errs bytes.Buffer
	cmd := p.command("psql", "-X", "-q", "-h", p.dir, "-U", "tester", "-d", "postgres", "-c", query)
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, errs.String())
	}
	return nil
}

func TestPostgresQueries(t *testing.T) {
	testpriv.Need(t)
	p := startPostgres(t)
	path := filepath.Join(p.bin, "postgres")
	// Every connection is a process of its own that the server forks.
	r := record(t, "-p", fmt.Sprint(p.pid),
		"-e", "usdt:"+path+":postgresql:query__start(begun=arg0:string)", "-e", "usdt:"+path+":postgresql:query__done(done=arg0:string)")
	eventually(t, "a first query that is seen", func() bool {
		r.alive()
		if err := p.try("select 'first'"); err != nil {
			t.Fatal(err)
		}
		return len(r.rows()) > 0
	})
	long := "select 42 as answer, '" + strings.Repeat("long ", 200) + "' as padding"
	queries := []string{"select 42 as answer", "select 1/0", "select 'ünïcode'", long}
	for _, q := range queries {
		if err := p.try(q); (err != nil) != (q == "select 1/0") {
			t.Errorf("%s: %v", q, err)
		}
	}
	var begun, done []string
	pids := map[int64]bool{}
	for _, w := range r.interrupt() {
		if s, ok := w["begun"].(string); ok && s != "select 'first'" {
			begun = append(begun, s)
			pids[w.num("pid")] = true
		}
		if s, ok := w["done"].(string); ok && s != "select 'first'" {
			done = append(done, s)
		}
		if w.text("comm") != "postgres" {
			t.Errorf("comm: got %q", w.text("comm"))
		}
	}
	if !slices.Equal(begun, queries) {
		t.Errorf("query__start: got %q, want %q", begun, queries)
	}
	// The one that failed is never done.
	if want := slices.Delete(slices.Clone(queries), 1, 2); !slices.Equal(done, want) {
		t.Errorf("query__done: got %q, want %q", done, want)
	}
	if len(pids) != len(queries) {
		t.Errorf("got the processes %v, want one a connection", pids)
	}
}
