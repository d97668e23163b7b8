package main

import (
	"os"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/filters"
)

// recipe is a program of docs/filters.md.
type recipe struct{ title, text string }

// recipes returns the programs of docs/filters.md in their order.
func recipes(t *testing.T) []recipe {
	t.Helper()
	b, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []recipe
	title := ""
	text := string(b)
	for text != "" {
		line, rest, _ := strings.Cut(text, "\n")
		if strings.HasPrefix(line, "##") {
			title = strings.TrimLeft(line, "# ")
		}
		if line == "```pf" {
			body, after, ok := strings.Cut(rest, "\n```\n")
			if !ok {
				t.Fatalf("%s: the program does not end", title)
			}
			list, rest = append(list, recipe{title, body}), after
		}
		text = rest
	}
	return list
}

// TestCookbookParses: the manual has its programs, and each is read, on every system.
func TestCookbookParses(t *testing.T) {
	list := recipes(t)
	if len(list) < 21 {
		t.Fatalf("got %d programs, want the example and twenty more", len(list))
	}
	for _, r := range list {
		if _, err := filters.ParseSet(r.text); err != nil {
			t.Errorf("%s: %v", r.title, err)
		}
	}
}
