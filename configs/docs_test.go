package configs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fenced returns the blocks of a Markdown text whose fence is followed by lang.
func fenced(text, lang string) []string {
	var blocks []string
	for {
		_, rest, ok := strings.Cut(text, "\n```"+lang+"\n")
		if !ok {
			return blocks
		}
		block, after, ok := strings.Cut(rest, "\n```\n")
		if !ok {
			return blocks
		}
		blocks, text = append(blocks, block+"\n"), after
	}
}

// TestJobsDocument: every example of docs/jobs.md is a good job, every key that
// there is has an example, and every key is described.
func TestJobsDocument(t *testing.T) {
	b, err := os.ReadFile("../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	shown := map[string]bool{}
	blocks := fenced(text, "yaml")
	if len(blocks) < 15 {
		t.Fatalf("only %d examples were found", len(blocks))
	}
	for _, block := range blocks {
		whole := block
		if !strings.Contains(block, "events:") {
			whole = "events: [irq:irq_handler_entry]\n" + block
		}
		if _, err := Load("docs/jobs.md", []byte(whole), testCheck()); err != nil {
			t.Errorf("%v in the example\n%s", err, whole)
		}
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(block), &n); err != nil {
			t.Fatal(err)
		}
		markKeys(&n, shown)
	}
	for _, k := range allKeys() {
		if !shown[k] {
			t.Errorf("the key %s has no example", k)
		}
		if !strings.Contains(text, "`"+k+"`") && !strings.Contains(text, "### "+k+"\n") && !strings.Contains(text, ", "+k+"\n") && !strings.Contains(text, ", "+k+",") && !strings.Contains(text, "### "+k+",") {
			t.Errorf("the key %s is not described", k)
		}
	}
	for _, block := range fenced(text, "yaml-defaults") {
		if _, err := decodeDefaults("docs/jobs.md", []byte(block)); err != nil {
			t.Error(err)
		}
	}
	for _, k := range (&defaultsDecoder{}).keys(&decoder{}) {
		if name := fmt.Sprintf("`%s_%s`", EnvPrefix, strings.ToUpper(k.name)); !strings.Contains(text, name) || !strings.Contains(text, "`"+k.name+"`") {
			t.Errorf("the default %s or its variable %s is not described", k.name, name)
		}
	}
}

func markKeys(n *yaml.Node, to map[string]bool) {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			to[c.Value] = true
		}
		markKeys(c, to)
	}
}

// allKeys gathers the keys of every mapping of a job file from what the decoder
// says of one that it does not know.
func allKeys() []string {
	const probe = "events: [{zzzzzzzz: 1}]\ntarget: {zzzzzzzz: 1}\noutputs: [{zzzzzzzz: 1}]\nrotate: {zzzzzzzz: 1}\nstacks: {zzzzzzzz: 1}\nzzzzzzzz: 1\n"
	_, err := Load("", []byte(probe), Check{})
	keys := []string{"jobs"}
	for line := range strings.Lines(err.Error()) {
		if _, list, ok := strings.Cut(line, " has "); ok && strings.Contains(line, "unknown key") {
			keys = append(keys, strings.Split(strings.TrimSpace(list), ", ")...)
		}
	}
	return keys
}

func TestAllKeys(t *testing.T) {
	got := strings.Join(allKeys(), " ")
	for _, want := range []string{"jobs", "name", "types", "filter", "inherit", "level", "max_files"} {
		if !strings.Contains(" "+got+" ", " "+want+" ") {
			t.Errorf("got %s, want %s among them", got, want)
		}
	}
}
