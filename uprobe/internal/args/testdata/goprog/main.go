// Command goprog calls functions of every shape with known values.
package main

import (
	"errors"
	"fmt"
)

type inner struct {
	tag string
	n   int32
}

type thing struct {
	id   int
	name string
	on   bool
	in   inner
	list []int32
	next *thing
	inner
}

type small struct {
	a int32
	b int64
	c uint8
}

type words string

//go:noinline
func (t *thing) method(s string, n int, b []byte, _ int, z bool) (int, error) {
	if n > 1000 {
		return 0, errors.New("large")
	}
	return len(s) + n + len(b) + t.id, nil
}

//go:noinline
func many(a, b, c, d, e, f, g, h int8, i string, j, k uint16) (x int, y string) {
	return int(a+b+c+d+e+f+g+h) + len(i) + int(j+k), i
}

//go:noinline
func byval(p small, fl float64, e error, one [1]int, two [2]int, v any, last uint32) small {
	return small{p.a + int32(fl) + int32(one[0]+two[1]) + int32(last), p.b, p.c}
}

//go:noinline
func large(t thing, after int, w words) (thing, int) { return t, after + len(w) }

//go:noinline
func plain(i int) int { return i + 1 }

func main() {
	t := &thing{id: 7, name: "seven", on: true, in: inner{"in", -5}, list: []int32{4, -5, 6}, inner: inner{"embedded", 9}}
	t.next = &thing{id: 8, name: "eight"}
	n, err := t.method("hello", 5, []byte("abc"), 9, true)
	x, y := many(-1, 2, 3, 4, 5, 6, 7, 8, "onstack", 65535, 11)
	p := byval(small{1, -2, 3}, 3.5, errors.New("e"), [1]int{4}, [2]int{5, 6}, 17, 12)
	l, m := large(*t, 13, "words")
	fmt.Println(n, err, x, y, p, l.id, m, plain(1))
}
