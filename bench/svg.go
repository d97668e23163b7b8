package main

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// bar is one of a chart, drawn from left to right.
type bar struct {
	label string
	value spread
	// ours is drawn in the colour of perfpipe.
	ours bool
	// ring is a bare one, which keeps nothing: drawn paler.
	ring bool
}

// chart is a picture of horizontal bars with an axis below them.
type chart struct {
	title, unit string
	bars        []bar
	// format is of the numbers behind the bars.
	format string
	scale  scale
}

// scale places a value between 0 and 1 on the axis, and names the ticks.
type scale struct {
	at    func(v float64) float64
	ticks []float64
}

// Sizes in pixels. A letter of the font is no wider than letterWidth on average.
const (
	chartWidth  = 760
	rowHeight   = 30
	barHeight   = 16
	topMargin   = 56
	axisHeight  = 50
	sideMargin  = 16
	letterWidth = 7.2
	fontSize    = 13
)

// linear is a scale from 0 to somewhat above the largest value.
func linear(largest float64) scale {
	step := niceStep(largest / 6)
	top := math.Ceil(largest/step) * step
	s := scale{at: func(v float64) float64 { return max(v, 0) / top }}
	for v := 0.0; v <= top*1.0001; v += step {
		s.ticks = append(s.ticks, v)
	}
	return s
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v {
			return m * p
		}
	}
	return 10 * p
}

// logarithmic is a scale of powers of ten around all values, which are above 0.
func logarithmic(least, largest float64) scale {
	lo, hi := math.Floor(math.Log10(least)), math.Ceil(math.Log10(largest))
	if hi <= lo {
		hi = lo + 1
	}
	s := scale{at: func(v float64) float64 {
		return min(1, max(0, (math.Log10(max(v, 1e-300))-lo)/(hi-lo)))
	}}
	for e := lo; e <= hi; e++ {
		s.ticks = append(s.ticks, math.Pow(10, e))
	}
	return s
}

// text is one of the picture, with the place that it takes.
type text struct {
	s, anchor, class string
	x, y             float64
}

// box is the place that a text takes at most.
func (t *text) box() (x0, y0, x1, y1 float64) {
	w := letterWidth * float64(len([]rune(t.s)))
	x0 = t.x
	switch t.anchor {
	case "end":
		x0 -= w
	case "middle":
		x0 -= w / 2
	}
	return x0, t.y - fontSize, x0 + w, t.y + 4
}

// rect is a bar, or the line over it from the smallest to the largest value.
type rect struct {
	x, y, w, h float64
	class      string
}

// drawing is a chart with everything in its place.
type drawing struct {
	height float64
	texts  []text
	rects  []rect
	// grid are the ticks' places.
	grid         []float64
	top, bottom  float64
	title, about string
}

// draw lays the chart out.
func (c *chart) draw() *drawing {
	labels, numbers := 0, 0
	for _, b := range c.bars {
		labels = max(labels, len([]rune(b.label)))
		numbers = max(numbers, len([]rune(b.value.text(c.format))))
	}
	left := sideMargin + letterWidth*float64(labels) + 10
	width := chartWidth - left - letterWidth*float64(numbers) - 10 - sideMargin
	d := &drawing{title: c.title, about: c.about(), top: topMargin - 8, bottom: topMargin + rowHeight*float64(len(c.bars))}
	d.height = d.bottom + axisHeight
	d.texts = append(d.texts, text{s: c.title, anchor: "start", class: "title", x: sideMargin, y: 28})
	for i, b := range c.bars {
		y := topMargin + rowHeight*float64(i)
		w := width * c.scale.at(b.value.median)
		class := "peer"
		switch {
		case b.ours:
			class = "ours"
		case b.ring:
			class = "ring"
		}
		d.rects = append(d.rects, rect{x: left, y: y, w: max(w, 1), h: barHeight, class: class})
		if lo, hi := width*c.scale.at(b.value.min), width*c.scale.at(b.value.max); hi > lo {
			d.rects = append(d.rects, rect{x: left + lo, y: y + barHeight/2 - 1, w: hi - lo, h: 2, class: "range"})
		}
		base := y + barHeight - 3
		end := left + max(w, width*c.scale.at(b.value.max))
		d.texts = append(d.texts,
			text{s: b.label, anchor: "end", class: "label", x: left - 8, y: base},
			text{s: b.value.text(c.format), anchor: "start", class: "number", x: end + 8, y: base})
	}
	for _, v := range c.scale.ticks {
		x := left + width*c.scale.at(v)
		d.grid = append(d.grid, x)
		d.texts = append(d.texts, text{s: tick(v), anchor: "middle", class: "tick", x: x, y: d.bottom + 16})
	}
	d.texts = append(d.texts, text{s: c.unit, anchor: "middle", class: "tick", x: left + width/2, y: d.bottom + 38})
	return d
}

func tick(v float64) string { return fmt.Sprintf("%g", math.Round(v*1e6)/1e6) }

// about says the chart in words, for those who cannot see it.
func (c *chart) about() string {
	var parts []string
	for _, b := range c.bars {
		parts = append(parts, b.label+" "+b.value.text(c.format))
	}
	return c.unit + ": " + strings.Join(parts, "; ")
}

// style has colours for light and dark pages. Numbers have a rim in the page's colour, so
// that lines of the grid do not go through them.
const style = `text{font-family:system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;font-size:12px;fill:#1f2328}
.title{font-size:15px;font-weight:600}.number{stroke:#ffffff;stroke-width:4px;paint-order:stroke}.tick{fill:#59636e}.page{fill:#ffffff}.grid{stroke:#d1d9e0}
.ours{fill:#1f883d}.peer{fill:#6e7781}.ring{fill:#b6bec7}.range{fill:#1f2328}
@media (prefers-color-scheme:dark){text{fill:#f0f6fc}.number{stroke:#0d1117}.tick{fill:#9198a1}.page{fill:#0d1117}.grid{stroke:#3d444d}
.ours{fill:#3fb950}.peer{fill:#8b949e}.ring{fill:#565e68}.range{fill:#f0f6fc}}`

// svg writes the picture.
func (d *drawing) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img" aria-labelledby="t d">`+"\n",
		chartWidth, d.height, chartWidth, d.height)
	fmt.Fprintf(&b, "<title id=\"t\">%s</title>\n<desc id=\"d\">%s</desc>\n<style>%s</style>\n", escaped(d.title), escaped(d.about), style)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%.0f"/>`+"\n", chartWidth, d.height)
	for _, x := range d.grid {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x, d.top, x, d.bottom)
	}
	for _, r := range d.rects {
		fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", r.class, r.x, r.y, r.w, r.h)
	}
	for _, t := range d.texts {
		fmt.Fprintf(&b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", t.class, t.x, t.y, t.anchor, escaped(t.s))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func escaped(s string) string {
	var b strings.Builder
	// A strings.Builder takes everything.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
