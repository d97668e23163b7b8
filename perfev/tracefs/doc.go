// Package tracefs reads the kernel's tracing file system: which trace events
// there are, how the records of each are laid out, and what the kernel says of a
// filter.
//
// [ParseFormat] turns the text of a format file into a perfpipe.Schema and works
// on every operating system, as does an [FS] over a copied tree; finding and
// mounting the real one is Linux's.
package tracefs
