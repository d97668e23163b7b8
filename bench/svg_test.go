package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// charts are those of the results of a test, and one with names that are long and have
// letters of XML in them.
func charts() map[string]*chart {
	r := results()
	odd := &chart{title: `<A> & "B"`, unit: "s & t", format: "%.1f", scale: linear(3), bars: []bar{
		{label: "a name that is rather long for a label, <x>", value: spread{0, 1, 3}, ours: true},
		{label: "below 0, as noise makes it", value: spread{-4, -2, 1}},
		{label: "one", value: spread{3, 3, 3}, ring: true},
	}}
	return map[string]*chart{"added": r.addedChart(), "bytes": r.bytesChart(), "odd": odd}
}

func TestChartIsXML(t *testing.T) {
	for name, c := range charts() {
		t.Run(name, func(t *testing.T) {
			var texts []string
			d := xml.NewDecoder(strings.NewReader(c.draw().svg()))
			in := ""
			for {
				tok, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("got %v, want well-formed XML", err)
				}
				switch x := tok.(type) {
				case xml.StartElement:
					in = x.Name.Local
					if in == "script" || in == "image" {
						t.Errorf("got an element %s, want none", in)
					}
				case xml.CharData:
					if in == "text" {
						texts = append(texts, string(x))
					}
				case xml.EndElement:
					in = ""
				}
			}
			want := []string{c.title, c.unit}
			for _, b := range c.bars {
				want = append(want, b.label, b.value.text(c.format))
			}
			for _, w := range want {
				if !slices.Contains(texts, w) {
					t.Errorf("texts: got %q, want %q among them", texts, w)
				}
			}
		})
	}
}

// TestChartHasRoom looks at the places of everything: inside the picture, and no text
// over a bar or another text.
func TestChartHasRoom(t *testing.T) {
	for name, c := range charts() {
		t.Run(name, func(t *testing.T) {
			d := c.draw()
			overlap := func(ax0, ay0, ax1, ay1, bx0, by0, bx1, by1 float64) bool {
				return ax0 < bx1 && bx0 < ax1 && ay0 < by1 && by0 < ay1
			}
			for i, a := range d.texts {
				x0, y0, x1, y1 := a.box()
				if x0 < 0 || y0 < 0 || x1 > chartWidth || y1 > d.height {
					t.Errorf("text %q: got %.0f,%.0f to %.0f,%.0f, want it in %d x %.0f", a.s, x0, y0, x1, y1, chartWidth, d.height)
				}
				for _, r := range d.rects {
					if overlap(x0, y0, x1, y1, r.x, r.y, r.x+r.w, r.y+r.h) {
						t.Errorf("text %q is over the bar at %.0f,%.0f", a.s, r.x, r.y)
					}
				}
				for _, b := range d.texts[i+1:] {
					bx0, by0, bx1, by1 := b.box()
					if overlap(x0, y0, x1, y1, bx0, by0, bx1, by1) {
						t.Errorf("text %q is over %q", a.s, b.s)
					}
				}
			}
			for _, r := range d.rects {
				if r.x < 0 || r.y < 0 || r.w < 0 || r.x+r.w > chartWidth || r.y+r.h > d.bottom {
					t.Errorf("bar: got %+v, want it in the picture", r)
				}
			}
		})
	}
}

func TestScales(t *testing.T) {
	tests := []struct {
		name  string
		scale scale
		ticks []float64
		// at are places of values.
		at map[float64]float64
	}{
		{"linear", linear(1000), []float64{0, 200, 400, 600, 800, 1000}, map[float64]float64{-5: 0, 0: 0, 500: 0.5, 1000: 1}},
		{"linear, odd", linear(3717), []float64{0, 1000, 2000, 3000, 4000}, map[float64]float64{2000: 0.5}},
		{"linear, nothing", linear(0), []float64{0}, map[float64]float64{}},
		{"logarithmic", logarithmic(0.8, 241), []float64{0.1, 1, 10, 100, 1000}, map[float64]float64{0.1: 0, 10: 0.5, 1000: 1, 0: 0}},
		{"logarithmic, one value", logarithmic(1, 1), []float64{1, 10}, map[float64]float64{1: 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) }
			if !slices.EqualFunc(tt.scale.ticks, tt.ticks, near) {
				t.Errorf("ticks: got %v, want %v", tt.scale.ticks, tt.ticks)
			}
			for v, want := range tt.at {
				if got := tt.scale.at(v); !near(got, want) {
					t.Errorf("place of %v: got %v, want %v", v, got, want)
				}
			}
		})
	}
}
