package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

const doctorHelp = `Say what is there for recording on this machine, what is missing, and the smallest
fix for each: the kernel, tracefs, permissions, limits, what probes and call chains
need, and what the kernel can do, found out by trying. Nothing is changed and
nothing recorded.

States: ok; note, which explains but needs nothing; warn, which limits; denied, a
permission that record needs; missing, anything else that it needs.

Exit status: 0 record works here, 77 a permission lacks, 1 something else does.`

const doctorExample = `  perfpipe doctor
  perfpipe doctor --json`

// state is what a finding means for recording.
type state string

const (
	stateOK      state = "ok"
	stateNote    state = "note"
	stateWarn    state = "warn"
	stateDenied  state = "denied"
	stateMissing state = "missing"
)

// finding is one thing that doctor looked at.
type finding struct {
	Name  string `json:"name"`
	State state  `json:"state"`
	// Value is what was found.
	Value string `json:"value"`
	// Fix is what to do, "" where there is nothing to mend.
	Fix string `json:"fix,omitempty"`
}

// report is doctor's output under --json.
type report struct {
	Works    bool      `json:"works"`
	Status   int       `json:"status"`
	Findings []finding `json:"findings"`
}

func newDoctor(st streams) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "doctor [--json]",
		Short:   "say what recording needs here, and how to get it",
		Long:    doctorHelp,
		Example: doctorExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(fmt.Errorf("doctor: %q: it takes no arguments", args[0]))
			}
			return nil
		},
		RunE: func(*cobra.Command, []string) error {
			if runtime.GOOS != "linux" {
				return fmt.Errorf("recording a live kernel needs Linux, and this is %s; convert, cat and match work here", runtime.GOOS)
			}
			findings := append(inspectFiles(os.DirFS("/"), os.Geteuid()), trials()...)
			r := report{Status: doctorStatus(findings), Findings: findings}
			r.Works = r.Status == exitOK
			write := writeReport
			if asJSON {
				write = writeReportJSON
			}
			if err := write(st.out, r); err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			if !r.Works {
				return &exitError{code: r.Status}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// doctorStatus is the exit status that findings come to.
func doctorStatus(findings []finding) int {
	status := exitOK
	for _, f := range findings {
		switch f.State {
		case stateDenied:
			return exitPermission
		case stateMissing:
			status = exitRuntime
		}
	}
	return status
}

func writeReportJSON(w io.Writer, r report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

func writeReport(w io.Writer, r report) error {
	var b strings.Builder
	var lacks []string
	told := map[string]string{}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-8s%-18s%s\n", f.State, f.Name, f.Value)
		switch first, again := told[f.Fix]; {
		case f.Fix == "":
		case again:
			fmt.Fprintf(&b, "%-26sfix: that of %s\n", "", first)
		default:
			fmt.Fprintf(&b, "%-26sfix: %s\n", "", f.Fix)
			told[f.Fix] = f.Name
		}
		if f.State == stateDenied || f.State == stateMissing {
			lacks = append(lacks, f.Name)
		}
	}
	if r.Works {
		b.WriteString("perfpipe record works here\n")
	} else {
		fmt.Fprintf(&b, "perfpipe record cannot work here: see %s\n", strings.Join(lacks, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
