//go:build linux

package main

import (
	"testing"

	"github.com/perfpipe/perfpipe/internal/testpriv"
)

// columns are what a probe's rows have to have, by column.
type columns map[string]string

func (c columns) check(t *testing.T, rows []row) {
	t.Helper()
	for name, want := range c {
		if got := column(rows, name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestCPlusPlusNames: a function by its signature, quoted or not, all of a name at
// once, methods, templates.
func TestCPlusPlusNames(t *testing.T) {
	testpriv.Need(t)
	prog := compile(t, "overloads.cc", "-g", "-O2")
	tests := []struct {
		name, probe string
		want        columns
	}{
		{"all overloads", "shop::area", columns{"func": `"shop::area(int)" "shop::area(double)" "shop::area(shop::Point)"`}},
		{"quoted signature", `"shop::area(int)"(a)`, columns{"a": "1"}},
		{"plain signature", "shop::area(shop::Point)(px=p.x, p.y)", columns{"px": "3", "y": "-4"}},
		{"mangled", "_ZN4shop4areaEi(a)", columns{"a": "1"}},
		{"all methods of a name", "shop::Order::add(this->id, this->who)",
			columns{"id": "41 41 41", "who": `"somebody" "somebody" "somebody"`, "func": `"shop::Order::add(int)" "shop::Order::add(int, shop::Point const\u0026)" "shop::Order::add(char const*) const"`}},
		{"a method with a reference", `"shop::Order::add(int, shop::Point const&)"(this->count, n, px=p.x, p.y)`, columns{"count": "12", "n": "6", "px": "3", "y": "-4"}},
		{"a method that is const", `"shop::Order::add(char const*) const"(s)`, columns{"s": `"word"`}},
		{"references", "shop::byref(n, s)", columns{"n": "10", "s": `"somebody"`}},
		{"one instance of a template", "shop::twice<int>(v)", columns{"v": "3"}},
		// No integer holds both, and a double is in no register that a probe sees.
		{"all instances of a template", "shop::twice*(v)", columns{"v": "3 null null", "v_uint64": "null 4 null"}},
		{"what a method returns", `"shop::Order::add(int, shop::Point const&)"%return`, columns{"ret": "9"}},
		{"what all overloads return", `shop::area%return`, columns{"ret": "1 2 3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.check(t, recordRows(t, "-e", "uprobe:"+prog+":"+tt.probe, "--", prog))
		})
	}
	for probe, text := range map[string]string{
		"shop::twice":          "is a template with several instances: shop::twice<double>, shop::twice<int>, shop::twice<unsigned long>",
		"area":                 "did you mean shop::area?",
		"shop::area(float)(a)": "no function shop::area(float)",
	} {
		recordProbes(t, "-e", "uprobe:"+prog+":"+probe, "--", prog).want(t, 2, text)
	}
	r := recordProbes(t, "-e", "uprobe:"+prog+":shop::area(double)(a)", "-o", "-", "--format", "ndjson", "--", prog)
	r.want(t, 0, "argument a of shop::area(double) is always null: a double is in a vector register")
	columns{"a": "null"}.check(t, readRows(t, r.stdout))
}
