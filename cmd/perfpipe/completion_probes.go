package main

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perfpipe/perfpipe/configs"
	"github.com/perfpipe/perfpipe/uprobe"
)

// probeWords are what a probe begins with, and the word for the lives of processes.
var probeWords = [...]string{"uprobe:", "uretprobe:", "usdt:", lifecycleEvent}

// completeEventFlag completes what stands behind -e of record: functions of the file
// of -x, functions behind uprobe:BINARY:, else events.
func (f *recordFlags) completeEventFlag(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	lead, last := lastWord(word)
	lastIsEvent := isEventName(last) || strings.HasPrefix(last, "!")
	if f.exec != "" && !lastIsEvent && !uprobe.IsSpec(last) {
		return withLead(lead, functionWords(f.c, uprobe.Entry, f.exec, last)), probeDirective
	}
	return completeEventsAs(f.c, cmd, args, word)
}

// probeDirective: no files, and no blank, as arguments may follow.
const probeDirective = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace

// completeProbe completes a word that begins as a probe does: what the binary that it
// names has. ok is false for other words.
func completeProbe(c *configs.Capture, last string) (words []string, ok bool) {
	kinds := [...]struct {
		prefix string
		kind   uprobe.Kind
	}{{"uprobe:", uprobe.Entry}, {"uretprobe:", uprobe.Entry}, {"usdt:", uprobe.USDT}, {"u:", uprobe.Entry}, {"ur:", uprobe.Entry}, {"U:", uprobe.USDT}}
	for _, k := range kinds {
		rest, is := strings.CutPrefix(last, k.prefix)
		if !is {
			continue
		}
		binary, name, named := strings.Cut(rest, ":")
		if !named || strings.ContainsAny(binary, `"'`) {
			return nil, true
		}
		return withLead(k.prefix+binary+":", functionWords(c, k.kind, binary, name)), true
	}
	return nil, false
}

// lastWord splits a list at the comma before its last word.
func lastWord(word string) (lead, last string) {
	list := uprobe.SplitList(word)
	last = list[len(list)-1]
	return strings.TrimSuffix(word, last), last
}

func withLead(lead string, words []string) []string {
	for i := range words {
		words[i] = lead + words[i]
	}
	return words
}

// functionWords lists what of a binary begins with name, as far as it is found within
// the time that a Tab may take. Names with blanks or template arguments, which
// would need quotes, are left out.
func functionWords(c *configs.Capture, kind uprobe.Kind, binary, name string) []string {
	if strings.ContainsAny(name, `"'(*?[+%`) {
		return nil
	}
	found := make(chan []string, 1)
	go func() {
		p, err := newProber(c, nil)
		if err != nil {
			found <- nil
			return
		}
		names, err := p.resolver.Names(binary, name, kind)
		if cerr := p.close(); err != nil || cerr != nil {
			names = nil
		}
		found <- slices.DeleteFunc(names, func(n string) bool { return strings.ContainsAny(n, " \t<(*&[,") })
	}()
	select {
	case list := <-found:
		return list
	case <-time.After(completionTimeout):
		return nil
	}
}
