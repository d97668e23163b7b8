package configs

import (
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// sourceText finds lines and columns in the bytes of a job file.
type sourceText struct {
	text   []byte
	starts []int // of each line
}

func newSourceText(b []byte) *sourceText {
	s := &sourceText{text: b, starts: []int{0}}
	for i, c := range b {
		if c == '\n' || c == '\r' && (i+1 == len(b) || b[i+1] != '\n') {
			s.starts = append(s.starts, i+1)
		}
	}
	return s
}

// offset returns the byte that line and column (both from 1, characters) point at.
func (s *sourceText) offset(line, column int) int {
	if line < 1 || line > len(s.starts) {
		return len(s.text)
	}
	off := s.starts[line-1]
	for i := 1; i < column && off < len(s.text); i++ {
		_, n := utf8.DecodeRune(s.text[off:])
		off += n
	}
	return off
}

// position returns the line and column of the byte at off.
func (s *sourceText) position(off int) (line, column int) {
	lo, hi := 0, len(s.starts)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.starts[mid] <= off {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1, utf8.RuneCount(s.text[s.starts[lo]:min(off, len(s.text))]) + 1
}

// within returns where the byte at off of n's value stands in the file.
//
// YAML folds lines, strips indentation and doubles quotes, so the value is laid
// beside the source: what is no blank stands in both in the same order, and the
// source has more between. Escapes of double quotes that spell a character
// otherwise (\x41) leave the node's own position.
func (s *sourceText) within(n *yaml.Node, off int) (line, column int) {
	at := s.offset(n.Line, n.Column)
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		at = s.offset(n.Line+1, 1)
	}
	off = min(off, len(n.Value))
	last := -1
	for i := 0; i < len(n.Value) && i <= off; i++ {
		if c := n.Value[i]; !blank(c) {
			j := at
			for j < len(s.text) && s.text[j] != c {
				j++
			}
			if j == len(s.text) {
				return n.Line, n.Column
			}
			last, at = j, j+1
			continue
		}
		if i == off {
			last = -1
		}
	}
	switch {
	case off == len(n.Value) || last < 0:
		// Behind the last character, or at a blank: right behind what stands before it.
		return s.position(at)
	}
	return s.position(last)
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
