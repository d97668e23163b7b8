//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf" //nolint:depguard // asks the kernel when it loaded a program
	"golang.org/x/sys/unix"

	"github.com/perfpipe/perfpipe/filters"
	"github.com/perfpipe/perfpipe/perfev"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// compileCommand is the first argument that makes this program compile a program of the
// filter language, as a recording does that has just begun.
const compileCommand = "compile"

// compilation is what it says of that.
type compilation struct {
	Refused      string
	Programs     int
	Instructions int
	// Code and Loaded are seconds from the start, CPU those of the process itself.
	Code, Loaded, CPU float64
}

// compiled has a process of its own compile the program in a file.
func (b *bench) compiled(ctx context.Context, path string) (c compilation, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.self, compileCommand, path).Output()
	if err != nil {
		return c, fmt.Errorf("run compile: %w", err)
	}
	return c, json.Unmarshal(out, &c)
}

// runCompile is that process.
func runCompile(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("compile takes the file of a program")
	}
	begin, err := sinceBoot()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var c compilation
	cfg, err := coded(string(text))
	if err != nil {
		c.Refused = firstLineOf(err)
		return json.NewEncoder(out).Encode(c)
	}
	made, err := sinceBoot()
	if err != nil {
		return err
	}
	c.Code = (made - begin).Seconds()
	s, err := perfev.Open(cfg)
	if err != nil {
		c.Refused = firstLineOf(err)
		return json.NewEncoder(out).Encode(c)
	}
	cpu, err := clock(unix.CLOCK_PROCESS_CPUTIME_ID)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	c.CPU = cpu.Seconds()
	for i := range cfg.Events {
		if !s.Decides(i) {
			c.Refused = fmt.Sprintf("%s: %v", cfg.Events[i].Schema.Event(), s.Undecided(i))
		}
	}
	last, err := c.loaded()
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	c.Loaded = (last - begin).Seconds()
	return json.NewEncoder(out).Encode(c)
}

// firstLineOf is what err says first, where errors of the language show where they are.
func firstLineOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// coded are the events of a program with their code. All clauses are compiled before
// code is made of the first, as they share what they keep.
func coded(text string) (cfg perfev.Config, err error) {
	set, err := filters.ParseSet(text)
	if err != nil {
		return cfg, err
	}
	tfs, err := tracefs.Open(tracefs.Options{NoMount: true})
	if err != nil {
		return cfg, err
	}
	cfg = perfev.Config{Engine: perfev.EngineBPF, RingBytes: 64 << 10}
	var list []*filters.Program
	for i, clause := range set.Clauses() {
		for _, event := range clause.Events {
			s, err := tfs.SchemaOf(event)
			if err != nil {
				return cfg, err
			}
			p, err := set.Compile(i, s, filters.Options{})
			if err != nil {
				return cfg, err
			}
			cfg.Events, list = append(cfg.Events, perfev.Event{Schema: s}), append(list, p)
		}
	}
	for i, p := range list {
		if cfg.Events[i].Code, err = p.BPF(); err != nil {
			return cfg, fmt.Errorf("%s: %w", cfg.Events[i].Schema.Event(), err)
		}
	}
	return cfg, nil
}

// sinceBoot is the clock by which the kernel says when it loaded a program.
func sinceBoot() (time.Duration, error) { return clock(unix.CLOCK_BOOTTIME) }

func clock(id int32) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0, fmt.Errorf("read clock %d: %w", id, err)
	}
	return time.Duration(t.Nano()), nil
}

// loaded counts the programs that this process holds, and returns when the kernel had
// loaded the last of them.
func (c *compilation) loaded() (last time.Duration, err error) {
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		return 0, err
	}
	seen := map[ebpf.ProgramID]bool{}
	for _, path := range infos {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the descriptor of the folder itself
		}
		id := programID(string(text))
		if id == 0 || seen[id] {
			continue
		}
		seen[id] = true
		at, verified, err := loadOf(id)
		if err != nil {
			return 0, err
		}
		last = max(last, at)
		c.Programs++
		c.Instructions += verified
	}
	if c.Programs == 0 {
		return 0, errors.New("find the programs that were loaded: there are none")
	}
	return last, nil
}

// programID is what a descriptor's account says of a program, 0 where it is of none.
func programID(fdinfo string) ebpf.ProgramID {
	for line := range strings.Lines(fdinfo) {
		var id ebpf.ProgramID
		if n, _ := fmt.Sscanf(line, "prog_id: %d", &id); n == 1 {
			return id
		}
	}
	return 0
}

// loadOf is when a program was loaded and how many instructions the verifier followed.
func loadOf(id ebpf.ProgramID) (at time.Duration, verified int, err error) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return 0, 0, fmt.Errorf("find program %d: %w", id, err)
	}
	info, err := p.Info()
	if err = errors.Join(err, p.Close()); err != nil {
		return 0, 0, fmt.Errorf("ask for program %d: %w", id, err)
	}
	at, _ = info.LoadTime()
	n, _ := info.VerifiedInstructions()
	return at, int(n), nil
}
