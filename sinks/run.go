package sinks

import (
	"io"
	"strconv"
	"strings"

	"github.com/perfpipe/perfpipe"
)

// Output is one place that rows go to, with the fields of configs.Output.
type Output struct {
	// Path is a folder (a dataset), a file, or "-" for standard output.
	Path string
	// Format is parquet, arrow, arrows, csv, ndjson or txt. "" goes by the path's
	// ending; a path with none of these endings is a dataset, of parquet.
	Format string
	// Compression is zstd, snappy, gzip or none, "" the format's default: zstd for
	// parquet, none for the others. Level is the codec's, 0 its default.
	Compression string
	Level       int
}

// Run is what the outputs have to know of the run that writes to them. It is not
// changed after [Open].
type Run struct {
	// Stdout is where the path "-" leads. As an *os.File that is a terminal it
	// makes txt the default format.
	Stdout io.Writer
	// Host, Kernel (its release) and Version (perfpipe's) go into every file's metadata.
	Host, Kernel, Version string
	// Command is perfpipe's command line.
	Command []string
	// Start is the reading of the clocks at the beginning.
	Start perfpipe.Clock
	// Events are listed in a dataset's manifest, fired or not.
	Events []Event
	// Memory bounds the bytes of rows that one output holds for its open row
	// groups, all tables together; 0 takes 32 MiB.
	Memory int64
	// Threads is how many goroutines encode a batch, 0 and 1 are one. Formats that are
	// not compressed take no notice.
	Threads int
	// Rotate is set where SyncRotate will be called: a file is then numbered from
	// the first one on (out-000000.parquet, out-000001.parquet).
	Rotate bool
	// MaxFiles keeps the newest so many files (of each table in a dataset), 0 keeps all.
	MaxFiles int
}

// Event is one recorded event as a dataset's manifest lists it.
type Event struct {
	// Event is "system:name", Table the table that holds it.
	Event string `json:"event"`
	Table string `json:"table"`
	// Filter is the whole filter, "" is none.
	Filter string `json:"filter"`
	// FormatSHA256 is the hex digest of the event's format file, "" if it has none.
	FormatSHA256 string `json:"format_sha256"`
}

// metadata are the keys that every file bears, beside those of its table.
func (r *Run) metadata() map[string]string {
	m := map[string]string{
		"perfpipe.version": r.Version,
		"host":             r.Host,
		"kernel":           r.Kernel,
		"clock.mono":       strconv.FormatInt(r.Start.Mono, 10),
		"clock.boot":       strconv.FormatInt(r.Start.Boot, 10),
		"clock.real":       strconv.FormatInt(r.Start.Real, 10),
	}
	if len(r.Command) > 0 {
		m["command"] = strings.Join(r.Command, " ")
	}
	return m
}
