package collector

import "github.com/perfpipe/perfpipe"

const (
	// batchRows is how many rows a busy table's batch holds: a page of Parquet, small
	// enough that a dozen of them fit the budget and one the caches.
	batchRows = 32 << 10
	// firstRows is what a table's first batch holds, so that hundreds of quiet
	// events cost little; each following batch holds growth times as many.
	firstRows = 256
	growth    = 4
	// poolBytes bounds the memory of all batches together.
	poolBytes = 32 << 20
	// batchBytes ends a batch early whose strings grew large.
	batchBytes = 8 << 20
)

// pool hands out batches and takes them back; it belongs to the reading goroutine.
type pool struct {
	// back is where the writer puts batches that it is done with.
	back chan *perfpipe.Batch
	free map[*perfpipe.Table][]*perfpipe.Batch
	// rows is how many rows the next batch of a table is to hold.
	rows map[*perfpipe.Table]int
	// used is the bytes of all batches, out or free.
	used int
	size map[*perfpipe.Batch]int
	// out counts the batches that the writer has.
	out int
}

func newPool() *pool {
	return &pool{
		// The reader collects before each send, so that no more can stand in it
		// than the writer takes from a full queue, and the one it works on.
		back: make(chan *perfpipe.Batch, queue+2),
		free: make(map[*perfpipe.Table][]*perfpipe.Batch),
		rows: make(map[*perfpipe.Table]int),
		size: make(map[*perfpipe.Batch]int),
	}
}

// room is the rows that b is to hold before it is handed on.
func (p *pool) room(b *perfpipe.Batch) int { return cap(b.Columns[colTS].Data) / 8 }

// get returns an empty batch of t. It waits for the writer where the budget is used up.
func (p *pool) get(t *perfpipe.Table) *perfpipe.Batch {
	for {
		p.collect()
		want := p.rows[t]
		if want == 0 {
			want = firstRows
		}
		// Rows with lists of texts are large: a batch shall not take the whole budget.
		want = min(want, max(firstRows, poolBytes/4/rowBytes(t)))
		if p.used > poolBytes/2 {
			want = min(want, batchRows/16) // many busy tables: smaller batches for all
		}
		list := p.free[t]
		if n := len(list); n > 0 {
			b := list[n-1]
			p.free[t] = list[:n-1]
			if p.room(b) >= want || p.used > poolBytes/2 {
				return b
			}
			p.drop(b) // outgrown
		}
		need := want * rowBytes(t)
		if p.used+need > poolBytes && p.used > 0 {
			p.dropFree(need)
		}
		if p.used+need <= poolBytes || p.out == 0 {
			b := perfpipe.NewBatch(t, want)
			p.size[b] = need
			p.used += need
			p.rows[t] = min(want*growth, batchRows)
			return b
		}
		p.take(<-p.back)
	}
}

// collect takes back what the writer is done with, without waiting.
func (p *pool) collect() {
	for {
		select {
		case b := <-p.back:
			p.take(b)
		default:
			return
		}
	}
}

func (p *pool) take(b *perfpipe.Batch) {
	p.out--
	// Strings may have grown past the estimate: count what is really held.
	n := 0
	for i := range b.Columns {
		c := &b.Columns[i]
		n += cap(c.Data) + 4*cap(c.Offsets) + cap(c.Valid)
		if c.Child != nil {
			n += cap(c.Child.Data) + 4*cap(c.Child.Offsets)
		}
	}
	p.used += n - p.size[b]
	p.size[b] = n
	b.Reset()
	p.free[b.Table] = append(p.free[b.Table], b)
}

// dropFree lets go of unused batches until need bytes fit the budget.
func (p *pool) dropFree(need int) {
	for t, list := range p.free {
		for len(list) > 0 && p.used+need > poolBytes {
			b := list[len(list)-1]
			list = list[:len(list)-1]
			p.drop(b)
		}
		p.free[t] = list
	}
}

func (p *pool) drop(b *perfpipe.Batch) {
	p.used -= p.size[b]
	delete(p.size, b)
}

// fixedBytes is what the columns of a fixed width take in a row of t.
func fixedBytes(t *perfpipe.Table) int {
	n := 0
	for i := range t.Columns {
		n += t.Columns[i].Type.Width()
	}
	return n
}

// rowBytes is what a row of t takes, strings and lists estimated.
func rowBytes(t *perfpipe.Table) int {
	n := 0
	for i := range t.Columns {
		switch w := t.Columns[i].Type.Width(); {
		case w > 0:
			n += w
		case t.Columns[i].Type == perfpipe.TypeString:
			n += 4 + 8
		case t.Columns[i].Elem == perfpipe.TypeString:
			n += 4 + 20*(4+32) // a stack
		default:
			n += 4 + 4*t.Columns[i].Elem.Width()
		}
	}
	return n
}
