// Package perfdata reads perf.data, the file that perf record writes, as a
// perfpipe.Source: the records of its tracepoints, laid out by the format files
// that it carries, in time order, with the names of tasks from its side band.
//
// It reads files (not pipes) of little-endian machines that are not compressed;
// anything else is an error that says what to do. The layout is that of
// tools/perf/Documentation/perf.data-file-format.txt and struct perf_event_attr,
// include/uapi/linux/perf_event.h.
package perfdata
