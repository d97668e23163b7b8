package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/uprobe"
)

// probesOptions are the flags of probes.
type probesOptions struct {
	binary, only  string
	pid           int
	verbose, json bool
}

func newProbes(st streams) *cobra.Command {
	var o probesOptions
	c := &cobra.Command{
		Use:   "probes (-x BINARY | -p PID) [GLOB]",
		Short: "list the functions and static probes of a program or library",
		Long: `List what of a program or library can be probed: functions with the parameters that
their debug information tells, and static probes (USDT). GLOB is a name or a glob, of
functions as the symbol table or the source has them, or of PROVIDER:NAME. A line is
what record takes behind -e.

BINARY is a path, a soname (libc.so.6), or a command. With -p it is looked up as that
process sees it, and without -x it is the process's executable. Separate debug files
(/usr/lib/debug) are used where they are installed.

Exit status: 0 listed, 1 cannot be read, 2 usage or nothing of that name, 77 no permission.`,
		Example: `  perfpipe probes -x bash 'readline*'
  perfpipe probes -x libc.so.6 -v malloc
  perfpipe probes -x libstdc++.so.6 --only usdt
  perfpipe probes -p 4711 'main.*' --json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError(fmt.Errorf("probes: want one glob, in quotes, and got %d arguments\nsee '%s --help'", len(args), c.CommandPath()))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			pattern := ""
			if len(args) == 1 {
				pattern = args[0]
			}
			return runProbes(st, pattern, &o)
		},
	}
	c.ValidArgsFunction = func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || o.binary == "" && o.pid == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		target := &configs.Capture{}
		if o.pid != 0 {
			target.Target.PIDs = []int{o.pid}
		}
		return functionWords(target, uprobe.Entry, o.binary, word), cobra.ShellCompDirectiveNoFileComp
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.binary, "exec", "x", "", "the `BINARY`: a path, a soname, or a command")
	f.IntVarP(&o.pid, "pid", "p", 0, "look as this process does: its mounts, its libraries")
	f.StringVar(&o.only, "only", "", "list only `KIND`: functions or usdt")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "offsets, sizes, other names, and what to know before probing")
	f.BoolVar(&o.json, "json", false, "one JSON document with all there is to say")
	return c
}

func runProbes(st streams, pattern string, o *probesOptions) (err error) {
	var kinds []uprobe.Kind
	switch o.only {
	case "":
	case "functions":
		kinds = []uprobe.Kind{uprobe.Entry}
	case "usdt":
		kinds = []uprobe.Kind{uprobe.USDT}
	default:
		return usageError(fmt.Errorf("probes: --only %q is neither functions nor usdt", o.only))
	}
	if o.binary == "" && o.pid == 0 {
		return usageError(errors.New("probes: name a program or library with -x, or a process with -p"))
	}
	c := &configs.Capture{}
	if o.pid != 0 {
		c.Target.PIDs = []int{o.pid}
	}
	p, err := newProber(c, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	all := p.resolver.List
	if o.verbose || o.json {
		all = p.resolver.ListAll
	}
	list, err := all(o.binary, pattern, kinds...)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &exitError{err: fmt.Errorf("probes: %w", err), code: exitPermission}
	case err != nil:
		return usageError(fmt.Errorf("probes: %w", err))
	}
	if len(list) == 0 {
		return usageError(fmt.Errorf("probes: nothing in %s matches %q", o.binary, pattern))
	}
	w := bufio.NewWriter(st.out)
	if o.json {
		err = probesJSON(w, list)
	} else {
		writeProbes(w, o, list)
	}
	return errors.Join(err, w.Flush())
}

// writeProbes prints a line for each, with -v more below it.
func writeProbes(w io.Writer, o *probesOptions, list []uprobe.Listed) {
	for i := range list {
		l := &list[i]
		fmt.Fprintf(w, "%s:%s:%s", l.Kind, o.binary, quotedName(l))
		switch {
		case l.Known:
			var ps []string
			for _, p := range l.Params {
				if p.Type != "" && l.Kind == uprobe.USDT {
					ps = append(ps, p.Name+":"+p.Type)
				} else {
					ps = append(ps, p.Name)
				}
			}
			fmt.Fprintf(w, "(%s)", strings.Join(ps, ", "))
		}
		fmt.Fprintln(w)
		if o.verbose {
			writeProbeDetails(w, l)
		}
	}
}

// quotedName is a function's name as record takes it.
func quotedName(l *uprobe.Listed) string {
	if l.Kind == uprobe.Entry && strings.ContainsAny(l.Name, "(<, *[&") {
		return `"` + l.Name + `"`
	}
	return l.Name
}

func writeProbeDetails(w io.Writer, l *uprobe.Listed) {
	for _, p := range l.Params {
		fmt.Fprintf(w, "    %-16s %s", p.Name, p.Type)
		if p.Why != "" {
			fmt.Fprintf(w, "  (null: %s)", p.Why)
		}
		fmt.Fprintln(w)
	}
	if l.Ret != "" {
		fmt.Fprintf(w, "    %-16s %s\n", "ret", l.Ret)
	}
	if l.Kind == uprobe.Entry {
		fmt.Fprintf(w, "    at 0x%x, %d bytes, from %s\n", l.Offset, l.Size, l.Source)
		if !l.Known {
			fmt.Fprintf(w, "    parameters are not known (no debug information): by position they are arg0:u64, arg1:string, ...\n")
		}
	} else {
		fmt.Fprintf(w, "    at 0x%x, %s\n", l.Offset, plural(l.Sites, "place"))
	}
	if l.Symbol != "" {
		fmt.Fprintf(w, "    symbol %s\n", l.Symbol)
	}
	if len(l.Aliases) > 0 {
		fmt.Fprintf(w, "    also called %s\n", strings.Join(l.Aliases, ", "))
	}
	for _, n := range l.Notes {
		fmt.Fprintf(w, "    note: %s\n", n)
	}
}

// The JSON of probes: keys are never renamed or taken away.
type (
	probeJSON struct {
		Kind    string      `json:"kind"`
		Name    string      `json:"name"`
		Symbol  string      `json:"symbol,omitempty"`
		Params  []paramJSON `json:"params"`
		Known   bool        `json:"params_known"`
		Ret     string      `json:"ret,omitempty"`
		Offset  uint64      `json:"offset"`
		Size    uint64      `json:"size"`
		Sites   int         `json:"sites"`
		Aliases []string    `json:"aliases,omitempty"`
		Source  string      `json:"source,omitempty"`
		Notes   []string    `json:"notes,omitempty"`
	}
	paramJSON struct {
		Name string `json:"name"`
		Type string `json:"type"`
		Null string `json:"null,omitempty"`
	}
)

func probesJSON(w io.Writer, list []uprobe.Listed) error {
	doc := struct {
		Probes []probeJSON `json:"probes"`
	}{Probes: []probeJSON{}}
	for i := range list {
		l := &list[i]
		j := probeJSON{Kind: l.Kind.String(), Name: l.Name, Symbol: l.Symbol, Params: []paramJSON{}, Known: l.Known, Ret: l.Ret, Offset: l.Offset, Size: l.Size, Sites: l.Sites, Aliases: l.Aliases, Source: l.Source, Notes: l.Notes}
		for _, p := range l.Params {
			j.Params = append(j.Params, paramJSON{p.Name, p.Type, p.Why})
		}
		doc.Probes = append(doc.Probes, j)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(doc)
}
