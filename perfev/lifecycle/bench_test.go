package lifecycle

import (
	"testing"
)

func BenchmarkRecord(b *testing.B) {
	schemas := formatsOf(b, append(allEvents(), "sched:sched_switch")...)
	for _, bench := range []struct{ name, line string }{
		{"other", "1/1 sched_switch"},
		{"fork", "10/10 task_newtask pid=11 comm=sh clone_flags=0x1200011"},
		{"exec", "11/11 sched_process_exec filename=/usr/bin/true pid=11 old_pid=11"},
		{"signal", "20/20 signal_generate sig=17 comm=x pid=10 group=1"},
		{"exit", "11/11 sched_process_exit pid=11 group_dead=1"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := record(b, schemas, bench.line)
			src, err := Wrap(&script{schemas: schemas}, Options{Events: allEvents()})
			if err != nil {
				b.Fatal(err)
			}
			src.out.Visitor = &keeper{}
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Raw)))
			for b.Loop() {
				src.out.Record(&r)
			}
		})
	}
}
