// Command goprog calls methods, goes deep, and moves its stacks while it does.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

type thing struct {
	id   int
	name string
}

//go:noinline
func (t *thing) rename(name string, n int) (string, int) {
	t.name = name
	return name, n * 2
}

// deep uses much of the stack in every call, so that it has to grow.
//
//go:noinline
func deep(n int, s string) int {
	var pad [64]int
	pad[n%64] = n
	if n == 0 {
		return len(s)
	}
	return deep(n-1, s) + pad[n%64] - n
}

//go:noinline
func work(n int) int {
	b := make([]byte, 100+n%1000)
	b[n%100] = byte(n)
	return deep(n%50, string(b[:1])) + n
}

func main() {
	t := &thing{id: 7}
	for i := 0; i < 10; i++ {
		t.rename(fmt.Sprintf("name-%d", i), i)
	}
	if len(os.Args) > 1 {
		return
	}
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 500; i++ {
				if got := work(i); got != i+1 {
					fmt.Println("wrong", got, i)
					os.Exit(1)
				}
				if i%100 == 0 {
					runtime.GC()
				}
			}
		}()
	}
	wg.Wait()
	fmt.Println("fine")
}
