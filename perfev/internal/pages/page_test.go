package pages_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/perfpipe/perfpipe/perfev/internal/pages"
)

// kindsOf counts what is in a page, by another way than the cursor's.
func kindsOf(p []byte) map[string]int {
	n := make(map[string]int)
	end := pages.HeaderSize + int(binary.LittleEndian.Uint64(p[8:])&(1<<30-1))
	for at := pages.HeaderSize; at+8 <= end; {
		w := binary.LittleEndian.Uint32(p[at:])
		switch k := w & 31; {
		case k == 0:
			n["long"]++
			at += 4 + int(binary.LittleEndian.Uint32(p[at+4:]))
		case k <= 28:
			n["short"]++
			at += 4 + 4*int(k)
		case k == 29 && w>>5 == 0:
			n["padding"]++
			at = end
		case k == 29:
			n["discarded"]++
			if w>>5 != 1 {
				n["discarded with time"]++
			}
			at += 4 + int(binary.LittleEndian.Uint32(p[at+4:]))
		case k == 30:
			n["extend"]++
			at += 8
		default:
			n["stamp"]++
			at += 8
		}
	}
	return n
}

// page makes a page of words and bytes.
type page struct{ b []byte }

func newPage(time uint64) *page {
	p := &page{b: make([]byte, pages.HeaderSize)}
	binary.LittleEndian.PutUint64(p.b, time)
	return p
}

func (p *page) word(kind, delta uint32) *page {
	p.b = binary.LittleEndian.AppendUint32(p.b, kind|delta<<5)
	return p
}

func (p *page) u32(v uint32) *page {
	p.b = binary.LittleEndian.AppendUint32(p.b, v)
	return p
}

func (p *page) text(s string) *page {
	p.b = append(p.b, s...)
	return p
}

// bytes returns the page, filled up to size, with bits in its commit.
func (p *page) bytes(size int, bits uint64) []byte {
	binary.LittleEndian.PutUint64(p.b[8:], uint64(len(p.b)-pages.HeaderSize)|bits)
	return append(p.b, make([]byte, max(0, size-len(p.b)))...)
}

// all goes through a page and returns "time:data" of every record.
func all(c *pages.Cursor, b []byte) ([]string, error) {
	var out []string
	if err := c.Begin(b); err != nil {
		return nil, err
	}
	for {
		tm, at, ok := c.Next()
		if !ok {
			return out, c.Err()
		}
		out = append(out, fmt.Sprintf("%d:%s", tm, pages.Data(b, at)))
	}
}

const (
	stored = 1 << 30
	missed = 1 << 31
)

func TestPage(t *testing.T) {
	long := strings.Repeat("long", 30)
	for _, tt := range []struct {
		name   string
		page   []byte
		last   uint64 // time of a page before
		want   []string
		missed uint64
		err    error
	}{
		{name: "empty", page: newPage(5).bytes(64, 0)},
		{name: "records", page: newPage(100).word(1, 5).text("abcd").word(2, 0).text("abcdefgh").bytes(64, 0), want: []string{"105:abcd", "105:abcdefgh"}},
		{name: "long", page: newPage(1).word(0, 2).u32(124).text(long).word(1, 1).text("next").bytes(256, 0), want: []string{"3:" + long, "4:next"}},
		{name: "extend", page: newPage(1).word(30, 7).u32(2).word(1, 0).text("abcd").bytes(64, 0), want: []string{fmt.Sprint(8+2<<27) + ":abcd"}},
		{name: "stamp", page: newPage(1).word(31, 7).u32(2).word(1, 3).text("abcd").bytes(64, 0), want: []string{fmt.Sprint(10+2<<27) + ":abcd"}},
		{name: "stamp of a high time", page: newPage(1<<62).word(31, 7).u32(2).word(1, 0).text("abcd").bytes(64, 0), want: []string{fmt.Sprint(uint64(1<<62+2<<27+7)) + ":abcd"}},
		{name: "stamp over its bits", page: newPage(1<<59|5).word(31, 4).u32(0).word(1, 0).text("abcd").bytes(64, 0), want: []string{fmt.Sprint(uint64(1<<60+4)) + ":abcd"}},
		{name: "discarded", page: newPage(1).word(29, 1).u32(12).text("12345678").word(1, 2).text("abcd").bytes(64, 0), want: []string{"3:abcd"}},
		{name: "discarded with time", page: newPage(1).word(29, 9).u32(8).text("1234").word(1, 2).text("abcd").bytes(64, 0), want: []string{"12:abcd"}},
		{name: "padding", page: newPage(1).word(1, 1).text("abcd").word(29, 0).text("rest of the page").bytes(64, 0), want: []string{"2:abcd"}},
		{name: "later than the page says", page: newPage(10).word(1, 1).text("abcd").bytes(64, 0), last: 12, want: []string{"13:abcd"}},
		{name: "missed, counted", page: append(newPage(1).word(1, 1).text("abcd").bytes(0, missed|stored), 42, 1, 0, 0, 0, 0, 0, 0), want: []string{"2:abcd"}, missed: 298},
		{name: "missed, no room", page: newPage(1).word(1, 1).text("abcd").bytes(0, missed), want: []string{"2:abcd"}, missed: 1},
		// As the kernel writes it: the bit is the sign of an int, added to a long.
		{name: "missed, and the upper half", page: newPage(1).word(1, 1).text("abcd").bytes(64, missed|0xffffffff<<32), want: []string{"2:abcd"}, missed: 1},
		{name: "commit beyond", page: newPage(1).word(1, 1).text("abcd").bytes(0, 0)[:23], err: pages.ErrHeader},
		{name: "record beyond", page: newPage(1).word(1, 1).text("abcd").word(2, 1).text("abcd").bytes(64, 0), want: []string{"2:abcd"}, err: pages.ErrRecord},
		{name: "half a word", page: newPage(1).text("ab").bytes(64, 0), err: pages.ErrRecord},
		{name: "long beyond", page: newPage(1).word(0, 1).u32(100).text("abcd").bytes(256, 0), err: pages.ErrRecord},
		{name: "long of nothing", page: newPage(1).word(0, 1).u32(3).text("abcd").bytes(64, 0), err: pages.ErrRecord},
		{name: "long of 4 GiB", page: newPage(1).word(0, 1).u32(1<<32-1).text("abcd").bytes(64, 0), err: pages.ErrRecord},
		{name: "discarded beyond", page: newPage(1).word(29, 1).u32(1<<32-1).bytes(64, 0), err: pages.ErrRecord},
		{name: "extend cut", page: newPage(1).word(30, 1).bytes(64, 0), err: pages.ErrRecord},
		{name: "no header", page: make([]byte, 15), err: pages.ErrHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c pages.Cursor
			if tt.last > 0 {
				_ = c.Begin(newPage(tt.last).bytes(16, 0))
			}
			got, err := all(&c, tt.page)
			if !errors.Is(err, tt.err) || !slices.Equal(got, tt.want) || c.Missed() != tt.missed {
				t.Errorf("got %q, %v, %d missed, want %q, %v, %d", got, err, c.Missed(), tt.want, tt.err, tt.missed)
			}
		})
	}
}

// golden reads the pages of a kernel and its own text of them.
func golden(t testing.TB, name string) (p []byte, text []string) {
	t.Helper()
	p, err := os.ReadFile("testdata/" + name + ".page")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return p, strings.Split(strings.TrimSpace(string(b)), "\n")
}

// The times and threads of the golden pages are those of the kernel's text.
func TestGolden(t *testing.T) {
	for _, name := range []string{"rich", "sparse"} {
		p, text := golden(t, name)
		var c pages.Cursor
		if err := c.Begin(p); err != nil {
			t.Fatal(err)
		}
		for i, want := range text {
			tm, at, ok := c.Next()
			if !ok {
				t.Fatalf("%s: %d records, %v, want %d", name, i, c.Err(), len(text))
			}
			got := fmt.Sprintf("%d %d ", (tm+500)/1000, binary.LittleEndian.Uint32(pages.Data(p, at)[4:]))
			if !strings.HasPrefix(want, got) {
				t.Errorf("%s, record %d: got %s, want %s", name, i, got, want)
			}
		}
		if _, _, ok := c.Next(); ok || c.Err() != nil {
			t.Errorf("%s: more than %d records, or %v", name, len(text), c.Err())
		}
	}
}

// Every prefix of a page whose commit is that of the whole has a header that cannot
// be, and of one whose commit is that of the prefix, records that are within it.
func TestPrefixes(t *testing.T) {
	for _, name := range []string{"rich", "sparse"} {
		p, text := golden(t, name)
		used := pages.HeaderSize + int(binary.LittleEndian.Uint64(p[8:]))
		for n := range used {
			var c pages.Cursor
			if _, err := all(&c, p[:n:n]); !errors.Is(err, pages.ErrHeader) {
				t.Fatalf("%s: %d of %d bytes: got %v, want %v", name, n, used, err, pages.ErrHeader)
			}
			if n < pages.HeaderSize {
				continue
			}
			cut := slices.Clone(p[:n])
			binary.LittleEndian.PutUint64(cut[8:], uint64(n-pages.HeaderSize))
			if got, _ := all(&c, cut); len(got) > len(text) {
				t.Fatalf("%s: %d of %d bytes: %d records", name, n, used, len(got))
			}
		}
	}
}

func FuzzPage(f *testing.F) {
	for _, name := range []string{"rich", "sparse"} {
		p, _ := golden(f, name)
		p = slices.Clone(p[:300]) // a whole one takes long to be made small
		binary.LittleEndian.PutUint64(p[8:], uint64(len(p)-pages.HeaderSize))
		f.Add(p, uint64(0))
	}
	f.Add(newPage(1).word(29, 9).u32(8).text("1234").word(30, 2).u32(7).word(31, 2).u32(9).word(0, 1).u32(8).text("abcd").bytes(80, missed|stored), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, last uint64) {
		var c pages.Cursor
		_ = c.Begin(newPage(last).bytes(16, 0))
		if c.Begin(b) != nil {
			if _, _, ok := c.Next(); ok {
				t.Fatal("a record of a page without a header")
			}
			return
		}
		used := pages.HeaderSize + int(binary.LittleEndian.Uint64(b[8:])&(1<<30-1))
		end, sum, now := pages.HeaderSize, 0, uint64(0)
		kinds := kindsOf(b[:used:used])
		for {
			tm, at, ok := c.Next()
			if !ok {
				break
			}
			d := pages.Data(b, at)
			// Each is behind the one before and within what was written.
			if at < end || at+4+len(d) > used {
				t.Fatalf("record at %d of %d bytes, the one before ends at %d, the page at %d", at, len(d), end, used)
			}
			end = at + 4 + len(d)
			sum += 4 + len(d)
			if kinds["stamp"] == 0 && kinds["extend"] == 0 && uint64(tm) < max(now, last) && last < 1<<62 && binary.LittleEndian.Uint64(b) < 1<<62 {
				t.Fatalf("time goes back from %d to %d", max(now, last), tm)
			}
			now = uint64(tm)
		}
		if sum > used-pages.HeaderSize {
			t.Fatalf("%d bytes of records in %d", sum, used-pages.HeaderSize)
		}
	})
}

func TestNothingIsAllocated(t *testing.T) {
	p, _ := golden(t, "rich")
	var c pages.Cursor
	n := testing.AllocsPerRun(100, func() {
		_ = c.Begin(p)
		for {
			_, at, ok := c.Next()
			if !ok {
				break
			}
			_ = pages.Data(p, at)
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func TestCheck(t *testing.T) {
	const page = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n" +
		"\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n"
	const event = "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n\tarray       :   32 bits\n\n\tpadding     : type == 29\n\ttime_extend : type == 30\n\ttime_stamp : type == 31\n\tdata max type_len  == 28\n"
	if err := pages.Check([]byte(page), []byte(event)); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ name, page, event string }{
		{"32 bits", strings.ReplaceAll(page, "offset:8;\tsize:8", "offset:8;\tsize:4"), event},
		{"data at 12", strings.Replace(page, "offset:16", "offset:12", 1), event},
		{"other bits", page, strings.Replace(event, "27", "28", 1)},
		{"nothing", "", ""},
	} {
		if err := pages.Check([]byte(tt.page), []byte(tt.event)); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	// Pages of 64 KiB of records as raw_syscalls:sys_enter has them.
	p := newPage(1)
	n := 0
	for ; len(p.b) < 65536-72; n++ {
		p.word(16, 300).text(strings.Repeat("x", 64))
	}
	buf := p.bytes(65536, 0)
	var c pages.Cursor
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	sum := 0
	for b.Loop() {
		_ = c.Begin(buf)
		for {
			_, at, ok := c.Next()
			if !ok {
				break
			}
			sum += int(pages.Data(buf, at)[0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}
