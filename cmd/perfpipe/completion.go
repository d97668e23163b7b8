package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

const completionHelp = `Print the script that makes a shell complete perfpipe's commands and flags, job
files, where tracefs can be read the names of events behind -e, and functions behind
-e uprobe:BINARY: and behind -x BINARY -e.

  bash   source <(perfpipe completion bash)
  zsh    perfpipe completion zsh > "${fpath[1]}/_perfpipe"
  fish   perfpipe completion fish > ~/.config/fish/completions/perfpipe.fish

Exit status: 0 printed, 1 it could not be written, 2 usage.`

const completionExample = `  perfpipe completion bash
  perfpipe completion zsh
  perfpipe completion fish`

func newCompletion(st streams) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish",
		Short:     "print a shell's completion script",
		Long:      completionHelp,
		Example:   completionExample,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(fmt.Errorf("completion: name one shell: %s", strings.Join(shells, ", ")))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			switch root := cmd.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(st.out, true)
			case "zsh":
				err = root.GenZshCompletion(st.out)
			case "fish":
				err = root.GenFishCompletion(st.out, true)
			default:
				return usageError(fmt.Errorf("completion: there is no script for %q; there is one for %s", args[0], strings.Join(shells, ", ")))
			}
			if err != nil {
				return fmt.Errorf("write completion script: %w", err)
			}
			return nil
		},
	}
}

// completionTimeout bounds how long a Tab may wait for the kernel.
const completionTimeout = time.Second

// addEventCompletion completes the names of events behind -e and --exclude of
// every command that has them, and before "list".
func addEventCompletion(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		for _, name := range []string{"event", "exclude"} {
			if cmd.Flags().Lookup(name) == nil {
				continue
			}
			// It fails only where there is no such flag or it has a function of its own,
			// as record's --event.
			_ = cmd.RegisterFlagCompletionFunc(name, completeEvents)
		}
		if cmd.Name() == "list" && cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = completeEvents
		}
	}
}

// completeEvents completes the last of a list of events.
func completeEvents(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	return completeEventsAs(&configs.Capture{}, cmd, args, word)
}

// completeEventsAs is completeEvents for a capture, whose target says where binaries are.
func completeEventsAs(c *configs.Capture, _ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	lead, last := lastWord(word)
	if words, ok := completeProbe(c, last); ok {
		return withLead(lead, words), probeDirective
	}
	words, directive := completeTracepoints(word)
	for _, p := range probeWords {
		if strings.HasPrefix(p, last) && !strings.Contains(last, ":") {
			words = append(words, lead+p)
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return words, directive
}

// completeTracepoints completes the last of a list of the kernel's events.
func completeTracepoints(word string) ([]string, cobra.ShellCompDirective) {
	here, err := tracefs.Open(tracefs.Options{NoMount: true, Timeout: completionTimeout})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	events, err := here.Events()
	if cerr := here.Close(); err != nil || cerr != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return eventWords(events, word)
}

// eventWords returns what word may become: systems, and behind a colon their
// events. events is sorted.
func eventWords(events []string, word string) ([]string, cobra.ShellCompDirective) {
	at := strings.LastIndexByte(word, ',') + 1
	lead, last := word[:at], word[at:]
	for _, p := range []string{"!", "tracepoint:"} {
		if rest, ok := strings.CutPrefix(last, p); ok {
			lead, last = lead+p, rest
		}
	}
	system, _, named := strings.Cut(last, ":")
	var words []string
	for _, e := range events {
		if !strings.HasPrefix(e, last) {
			continue
		}
		if !named {
			s, _, _ := strings.Cut(e, ":")
			if e = s + ":"; len(words) > 0 && words[len(words)-1] == lead+e {
				continue
			}
		}
		words = append(words, lead+e)
	}
	if named && len(words) > 1 && last == system+":" {
		words = append(words, lead+system+":*")
	}
	if !named {
		return words, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// completeYAML completes the names of job files.
func completeYAML(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

// completeTier completes the values of --tier.
func completeTier(cmd *cobra.Command) {
	// It fails only where there is no such flag.
	_ = cmd.RegisterFlagCompletionFunc("tier", cobra.FixedCompletions([]string{tierAuto, tierKernel, tierBPF, tierProcess}, cobra.ShellCompDirectiveNoFileComp))
}
