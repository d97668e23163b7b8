package filters

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/perfpipe/perfpipe"
	"github.com/perfpipe/perfpipe/internal/testpriv"
	"github.com/perfpipe/perfpipe/perfev/tracefs"
)

// cookbook are the programs of docs/filters.md by their titles, in their order.
func cookbook(t *testing.T) (titles []string, texts map[string]string) {
	t.Helper()
	b, err := os.ReadFile("../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	texts = make(map[string]string)
	title := ""
	for rest := string(b); rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		rest = after
		switch {
		case strings.HasPrefix(line, "##"):
			title = strings.TrimLeft(line, "# ")
		case line == "```pf":
			text, behind, ok := strings.Cut(after, "\n```\n")
			if !ok {
				t.Fatalf("%s: the program does not end", title)
			}
			titles, rest = append(titles, title), behind
			texts[title] = text
		}
	}
	return titles, texts
}

// liveTracefs is the running kernel's, closed at the end of the test.
func liveTracefs(t *testing.T) *tracefs.FS {
	t.Helper()
	fs, err := tracefs.Open(tracefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fs.Close(); err != nil {
			t.Errorf("remove the instance: %v", err)
		}
	})
	return fs
}

// What of the manual's programs has code for eBPF is taken by the running kernel's
// verifier. The log has the table: how long from the text to the loaded program, and
// how large that is.
func TestBPFCookbookLoads(t *testing.T) {
	testpriv.Need(t)
	fs := liveTracefs(t)
	titles, texts := cookbook(t)
	if len(titles) < 20 {
		t.Fatalf("got %d programs, want twenty", len(titles))
	}
	loaded := 0
	for _, title := range titles {
		loaded += loadRecipe(t, fs, title, texts[title])
	}
	if loaded == 0 {
		t.Error("no clause of the manual was loaded: the test tests nothing")
	}
}

// loadRecipe loads what has code, and returns how many clauses that is.
func loadRecipe(t *testing.T, fs *tracefs.FS, title, text string) (loaded int) {
	t.Helper()
	start := time.Now()
	set, err := ParseSet(text)
	if err != nil {
		t.Errorf("%s: %v", title, err)
		return 0
	}
	var programs []*Program
	var schemas []*perfpipe.Schema
	spent := time.Since(start)
	for i, c := range set.Clauses() {
		for _, event := range c.Events {
			s, err := fs.SchemaOf(event)
			if err != nil {
				t.Logf("%-46.46s %-34s %v", title, event, err)
				continue
			}
			start := time.Now()
			p, err := set.Compile(i, s, Options{})
			spent += time.Since(start)
			if err != nil {
				t.Errorf("%s: %v", title, err)
				continue
			}
			programs, schemas = append(programs, p), append(schemas, s)
		}
	}
	for i, p := range programs {
		start := time.Now()
		f, err := p.BPF()
		if err != nil {
			t.Logf("%-46.46s %-34s no code: %v", title, schemas[i].Event(), err)
			continue
		}
		made := time.Now()
		mem, err := newBPFMemory(f.Memory, f.Text)
		if err != nil {
			t.Fatal(err)
		}
		mapped := time.Now()
		b, err := newBPFTrial(t, f, mem, schemas[i].Size+512, trialMode{})
		end := time.Now()
		if err != nil {
			mem.close()
			t.Errorf("%s: %s: %+v", title, schemas[i].Event(), err)
			continue
		}
		info, err := b.prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		verified, _ := info.VerifiedInstructions()
		size, _ := info.JitedSize()
		trial, err := trialCode(f, b.io.FD(), mem.maps, schemas[i].Size+512, trialMode{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%-46.46s %-34s compile %.2f ms, code %.2f ms, maps %.2f ms, load %.2f ms; %d instructions, %d verified, %d bytes", title, schemas[i].Event(),
			spent.Seconds()*1e3, made.Sub(start).Seconds()*1e3, mapped.Sub(made).Seconds()*1e3, end.Sub(mapped).Seconds()*1e3, len(trial), verified, size)
		b.close()
		mem.close()
		loaded++
	}
	return loaded
}
