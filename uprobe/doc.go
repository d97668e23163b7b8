// Package uprobe goes from what a person writes, uprobe:/bin/bash:readline, to an
// armed probe of the running kernel: an event like any tracepoint, with a format.
//
//	Parse ──Spec──► Resolver.Plan ──Probe──► Install ──Event──► perfev
//	(text)          (ELF, DWARF,             (tracefs's
//	                 USDT notes)              uprobe_events)
//
// Parse and Plan read text and files: they need no privilege, and run on every
// operating system.
package uprobe
