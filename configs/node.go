package configs

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// key is one key that a mapping may have and what takes its value.
type key struct {
	name string
	set  func(*yaml.Node)
}

// mapping hands the values of n to keys and reports keys that are unknown or stand
// twice; elsewhere tells which of the unknown have been reported already.
func (d *decoder) mapping(n *yaml.Node, what string, keys []key, elsewhere func(string) bool) {
	if !d.is(n, yaml.MappingNode, what, "a mapping of keys") {
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" || k.Style&yaml.TaggedStyle != 0 {
			if k.Tag == "!!merge" {
				d.fail(k, "<< merges an alias, and job files have none; write the keys out")
			} else {
				d.fail(k, "a key of %s is a plain word", what)
			}
			continue
		}
		if first := seen[k.Value]; first > 0 {
			d.fail(k, "the key %q stands here a second time; the first is in line %d", k.Value, first)
			continue
		}
		seen[k.Value] = k.Line
		known := false
		for _, e := range keys {
			if e.name == k.Value {
				known = true
				if v.Kind == yaml.ScalarNode && v.Tag == "!!null" && v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
					d.fail(v, "%s has no value: give it one, or take the key away", k.Value)
				} else {
					e.set(v)
				}
			}
		}
		if !known && (elsewhere == nil || !elsewhere(k.Value)) {
			d.unknown(k, what, keys)
		}
	}
}

func (d *decoder) unknown(k *yaml.Node, what string, keys []key) {
	names := make([]string, len(keys))
	for i, e := range keys {
		names[i] = e.name
	}
	if near := nearest(k.Value, names); near != "" {
		d.fail(k, "unknown key %q; did you mean %q?", k.Value, near)
		return
	}
	d.fail(k, "unknown key %q; %s has %s", k.Value, what, strings.Join(names, ", "))
}

// is reports whether n is of the kind, and says so where it is not.
func (d *decoder) is(n *yaml.Node, kind yaml.Kind, what, want string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fail(n, "%s", aliasText("*"+n.Value))
	case n.Anchor != "":
		d.fail(n, "&%s is an anchor to YAML, and job files have none; quote the value", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, "%s is a tag to YAML, and job files have none; where it begins a filter or takes an event away, quote the whole value", n.Tag)
	case n.Kind != kind:
		d.fail(n, "%s must be %s, not %s", what, want, shape(n))
	default:
		return true
	}
	return false
}

// shape says what n is, for errors.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	s := n.Value
	if len(s) > 40 {
		s = s[:40] + "..."
	}
	return strconv.Quote(s)
}

// word decodes any scalar as its text: 18 and true are words as well.
func (d *decoder) word(n *yaml.Node, what string) (string, bool) {
	if !d.is(n, yaml.ScalarNode, what, "text") {
		return "", false
	}
	if n.Tag == "!!null" && n.Style == 0 {
		d.fail(n, "%s has no value: give it one, or quote it where it shall be empty", what)
		return "", false
	}
	return n.Value, true
}

// text decodes a scalar that is not empty. YAML's other types stand unquoted for
// mistakes: a bare 010, a yes.
func (d *decoder) text(n *yaml.Node, what string) (string, bool) {
	s, ok := d.word(n, what)
	switch {
	case !ok:
		return "", false
	case n.Tag != "!!str":
		d.fail(n, "%s must be text: where %s is meant, quote it", what, shape(n))
		return "", false
	case strings.TrimSpace(s) == "":
		d.fail(n, "%s is empty", what)
		return "", false
	case strings.ContainsRune(s, 0):
		d.fail(n, "%s holds a NUL character", what)
		return "", false
	}
	return s, true
}

// number decodes a decimal number between 1 and most.
func (d *decoder) number(n *yaml.Node, what string, most int) (int, bool) {
	if !d.is(n, yaml.ScalarNode, what, "a number") {
		return 0, false
	}
	if n.Style != 0 && n.Tag == "!!str" {
		d.fail(n, "%s must be a number, not the text %q: take the quotes away", what, n.Value)
		return 0, false
	}
	digits := strings.TrimPrefix(n.Value, "-")
	if err := wholeNumber(digits); err != nil {
		d.fail(n, "%s: %v", what, err)
		return 0, false
	}
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < 1 || v > most {
		d.fail(n, "%s: %s is not within 1 to %d", what, n.Value, most)
		return 0, false
	}
	return v, true
}

// flag decodes true or false; YAML's yes, on and y are refused, since parsers differ over them.
func (d *decoder) flag(n *yaml.Node, what string, to *bool) {
	if !d.is(n, yaml.ScalarNode, what, "true or false") {
		return
	}
	switch {
	case n.Style == 0 && n.Value == "true":
		*to = true
	case n.Style == 0 && n.Value == "false":
		*to = false
	default:
		d.fail(n, "%s must be true or false, not %s", what, shape(n))
	}
}

// choice decodes one of words.
func (d *decoder) choice(n *yaml.Node, what string, to *string, words ...string) {
	s, ok := d.text(n, what)
	if !ok {
		return
	}
	for _, w := range words {
		if s == w {
			*to = s
			return
		}
	}
	hint := ""
	if near := nearest(s, words); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	d.fail(n, "%s must be one of %s, not %q%s", what, strings.Join(words, ", "), s, hint)
}

// each calls f for every element of a list, and for n itself where it is a single scalar.
func (d *decoder) each(n *yaml.Node, what string, f func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		if n.Kind == yaml.MappingNode {
			d.is(n, yaml.SequenceNode, what, "a list")
			return
		}
		f(n)
		return
	}
	if !d.is(n, yaml.SequenceNode, what, "a list") {
		return
	}
	if len(n.Content) == 0 {
		d.fail(n, "%s is an empty list: fill it, or take the key away", what)
	}
	for _, e := range n.Content {
		f(e)
	}
}

// measured decodes a scalar with a unit.
func measured[T any](d *decoder, n *yaml.Node, what string, to *T, parse func(string) (T, error)) {
	s, ok := d.word(n, what)
	if !ok {
		return
	}
	v, err := parse(s)
	if err != nil {
		d.fail(n, "%s: %v", what, err)
		return
	}
	*to = v
}
