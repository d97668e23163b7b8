package filters

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"strings"
	"sort"

	"github.com/perfpipe/perfpipe"
)

func TestZZ(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("ZZ"))
	s := randomSchema()
	why := map[string]int{}
	done, maxN := 0, 0
	note := func(err error, src string) {
		if err == nil {
			done++
			return
		}
		k := err.Error()
		if len(k) > 200 { k = k[:60] + " ... " + k[max(0, len(k)-200):] }
		if why[k] == 0 { fmt.Println(k, "\n", src) }
		why[k]++
	}
	_ = maxN
	seed := uint64(n)
	for _, faulty := range []bool{false, true} {
		randomPrograms(t, seed, n, faulty, Options{CPUs: 4}, func(w *writer, p *Program) {
			var list []*perfpipe.Record
			for range 20 {
				list = append(list, w.plainRecord(s))
			}
			note(compareBPF(t, p, list), p.source)
		})
	}
	w := &progWriter{writer: &writer{r: rand.New(rand.NewPCG(seed, 7)), faulty: true}}
	for i := 0; i < n && os.Getenv("PP") != ""; i++ {
		w.ints, w.strs = append([]intInfo(nil), intFields...), []string{"str", "next_comm", "tag", "$comm"}
		w.faulty = w.r.IntN(3) == 0
		w.fields = len(w.ints)
		src := w.program()
		p, err := Compile(src, s, Options{Budget: []int{0, 0, 7, 40}[w.r.IntN(4)]})
		if err != nil {
			continue
		}
		var list []*perfpipe.Record
		for j := range 12 {
			r := w.plainRecord(s)
			r.Time = int64(j)*1_500_000 + int64(w.r.IntN(1000))
			list = append(list, r)
		}
		note(compareBPF(t, p, list), src)
	}
	var ks []string
	for k, c := range why { ks = append(ks, fmt.Sprintf("%6d %s", c, k)) }
	sort.Strings(ks)
	fmt.Println(done, "\n"+strings.Join(ks, "\n"))
}
