//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/internal/testpriv"
)

func writeJob(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "job.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSamplesRun: every job file of configs/ runs, and writes what it says.
func TestSamplesRun(t *testing.T) {
	testpriv.Need(t)
	for _, s := range configs.Samples() {
		t.Run(s.Name, func(t *testing.T) {
			dir := t.TempDir()
			path := writeJob(t, dir, string(s.Text))
			runIn(t, dir, "check", path).want(t, 0)
			runIn(t, dir, "run", path, "--dry-run").want(t, 0)
			jobs, err := configs.Load(s.Name, s.Text, configs.Check{})
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, j := range jobs {
				for _, o := range j.Outputs {
					if _, err := os.Lstat(filepath.Join(dir, o.Path)); err == nil {
						t.Errorf("--dry-run made %s", o.Path)
					}
				}
				if len(j.Target.Command) > 0 {
					want = 2 // ls of what does not exist
				}
			}
			r := runIn(t, dir, "run", path, "--duration", "1s")
			r.want(t, want, "[ perfpipe run: wrote ")
			for _, j := range jobs {
				for _, o := range j.Outputs {
					if fi, err := os.Stat(filepath.Join(dir, o.Path)); err != nil || !fi.IsDir() && fi.Size() == 0 && !j.Rotate.OnSignal {
						t.Errorf("output %s: %v", o.Path, err)
					}
				}
			}
			noLeftovers(t, dir)
		})
	}
}

// TestRunMeansWhatRecordMeans: a job and the flags for the same give the same rows of a known load.
func TestRunMeansWhatRecordMeans(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	job := writeJob(t, dir, `
events:
  - event: sched:sched_process_exec
    filter: |
      pid > 0 &&
        filename ~ "*/true"
target:
  command: [sh, -c, '/bin/true; /bin/true; /bin/echo > /dev/null; exit 7']
outputs: [job.ndjson]
`)
	runIn(t, dir, "run", "-q", job).want(t, 7)
	runIn(t, dir, "record", "-q", "-e", "sched:sched_process_exec", "--filter", `pid > 0 && filename ~ "*/true"`, "-o", "flags.ndjson",
		"--", "sh", "-c", "/bin/true; /bin/true; /bin/echo > /dev/null; exit 7").want(t, 7)
	var got [2][]string
	for i, name := range []string{"job.ndjson", "flags.ndjson"} {
		for _, r := range readRows(t, readFile(t, filepath.Join(dir, name))) {
			got[i] = append(got[i], r.text("filename")+" "+r.text("comm"))
		}
	}
	if a, b := fmt.Sprint(got[0]), fmt.Sprint(got[1]); a != b || len(got[0]) != 2 {
		t.Errorf("the job gave %s, the flags %s, want the same two", a, b)
	}
}

// TestJobsRunAtOnce: each has its own rows, one that fails does not end the other,
// and the status is that of the first that failed.
func TestJobsRunAtOnce(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "taken.csv"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	const job = `
jobs:
- name: fails
  events: sched:sched_switch
  outputs: [taken.csv]
  duration: 1s
- name: works
  events: sched:sched_process_exec
  outputs: [works.ndjson]
  target: {all: true, command: [sh, -c, 'sleep 0.3; /bin/true']}
`
	path := writeJob(t, dir, job)
	r := runIn(t, dir, "run", path)
	r.want(t, 1, "fails: perfpipe run: ", "taken.csv", "works: [ perfpipe run: wrote ")
	if s := readFile(t, filepath.Join(dir, "works.ndjson")); !strings.Contains(s, "/true") {
		t.Errorf("the job that works has no row of its command: %s", s)
	}
	if s := readFile(t, filepath.Join(dir, "taken.csv")); s != "mine" {
		t.Errorf("the file that was there became %q", s)
	}
	if err := os.Remove(filepath.Join(dir, "works.ndjson")); err != nil {
		t.Fatal(err)
	}
	r = runIn(t, dir, "run", path, "--job", "works")
	r.want(t, 0, "[ perfpipe run: wrote ")
	if strings.Contains(r.stderr, "fails") {
		t.Errorf("the other job ran as well:\n%s", r.stderr)
	}
	// The status of a command counts among several jobs as well.
	second := writeJob(t, t.TempDir(), "jobs:\n- {name: a, events: sched:sched_switch, outputs: [a.parquet], duration: 100ms}\n"+
		"- {name: b, events: sched:sched_process_exec, outputs: [b.parquet], target: {command: exit 7}}\n")
	runIn(t, dir, "run", second).want(t, 7, "a: [ perfpipe run: wrote ", "b: [ perfpipe run: wrote ")
	runIn(t, dir, "run", path, "--job", "nope").want(t, 2, "it has fails, works")
}

func TestRunOfWhatIsNotHere(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	path := writeJob(t, dir, "events:\n- shed:sched_switch\n- event: sched:sched_switch\n  filter: |\n    prev_pid == 3 &&\n      prev_pdi == 4\noutputs: [x]\n")
	for _, command := range []string{"run", "check"} {
		runIn(t, dir, command, path).want(t, 78,
			path+`:2:3: unknown event "shed:sched_switch"; did you mean sched:sched_switch?`,
			path+`:6:7: filter of sched:sched_switch: unknown field "prev_pdi"`)
	}
	if _, err := os.Lstat(filepath.Join(dir, "x")); err == nil {
		t.Error("an output was made")
	}
}

// TestDefaultsAreTaken: the environment says where a job that names no outputs writes to.
func TestDefaultsAreTaken(t *testing.T) {
	testpriv.Need(t)
	dir := t.TempDir()
	path := writeJob(t, dir, "events: sched:sched_process_exec\ntarget: {command: [/bin/true]}\n")
	t.Setenv("PERFPIPE_OUTPUT", "env.ndjson")
	runIn(t, dir, "run", path).want(t, 0, " to env.ndjson ")
	t.Setenv("PERFPIPE_OUTPUT", "")
	if err := os.WriteFile(filepath.Join(dir, configs.DefaultsFile), []byte("output: file.ndjson\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, "run", path).want(t, 0, " to file.ndjson ")
}

func TestDoctorLive(t *testing.T) {
	testpriv.Need(t)
	r := invoke(t, "doctor", "--json")
	r.want(t, 0)
	var rep report
	if err := json.Unmarshal([]byte(r.stdout), &rep); err != nil || !rep.Works || rep.Status != 0 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	for _, name := range []string{"kernel", "cpus", "tracefs", "capabilities", "perf events", "system-wide", "tracepoints"} {
		found := false
		for _, f := range rep.Findings {
			found = found || f.Name == name && f.State == stateOK
		}
		if !found {
			t.Errorf("%s is not ok: %+v", name, rep.Findings)
		}
	}
	if r := invoke(t, "doctor"); r.status != 0 || !strings.HasSuffix(r.stdout, "perfpipe record works here\n") || r.stderr != "" {
		t.Errorf("got %d, %q, %q", r.status, r.stdout, r.stderr)
	}
}

// TestDoctorOfNobody: without a permission it says so and ends with 77, and check
// says what it could not look at.
func TestDoctorOfNobody(t *testing.T) {
	testpriv.Need(t)
	if b, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid"); err != nil || strings.HasPrefix(string(b), "-") {
		t.Skip("everybody may record here: perf_event_paranoid is -1")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copied := filepath.Join(dir, "perfpipe")
	if out, err := exec.Command("install", "-m", "755", binary, copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	job := filepath.Join(dir, "job.yaml")
	if err := os.WriteFile(job, []byte("events: [{event: sched:nothing, filter: a == 1}]\noutputs: ['-']\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	nobody := func(args ...string) (string, int) {
		cmd := exec.Command(copied, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := nobody("doctor"); status != exitPermission || !strings.Contains(out, "denied  system-wide") || !strings.Contains(out, "cap_perfmon") || !strings.Contains(out, "cannot work here") {
		t.Errorf("doctor: got %d\n%s", status, out)
	}
	if out, status := nobody("check", job); status != exitOK || !strings.Contains(out, "not checked: whether the events exist") {
		t.Errorf("check: got %d\n%s", status, out)
	}
	if out, status := nobody("run", job); status != exitPermission {
		t.Errorf("run: got %d\n%s", status, out)
	}
}

// TestCompletionLive: events come from this kernel.
func TestCompletionLive(t *testing.T) {
	testpriv.Need(t)
	r := invoke(t, "__complete", "record", "-e", "sched:sched_swi")
	if r.status != 0 || !strings.Contains(r.stdout, "sched:sched_switch\n") {
		t.Errorf("got %d, %q", r.status, r.stdout)
	}
}
