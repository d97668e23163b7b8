// Package symbols tells where the functions of an ELF file are: by name, by glob and
// by address, for C, C++, Rust and Go, stripped or not. It reads files alone: it
// needs no privilege and runs on every operating system.
//
// A function's names come from, in this order:
//
//	.symtab          of the file
//	.dynsym          of the file, with versions (memcpy@GLIBC_2.2.5, memcpy@@GLIBC_2.14)
//	debug file       .symtab of /usr/lib/debug/.build-id/xx/yyyy.debug, or of what
//	                 .gnu_debuglink names, its checksum checked
//	.gnu_debugdata   the xz-packed table that Fedora leaves in stripped files
//	.gopclntab       the table that Go's runtime needs, which strip leaves
//
// The later ones are read only where the file has no .symtab. Symbols without a type
// (labels of assembler code) and procedure linkage tables (.plt) are no functions.
//
// # Names
//
// A name is looked up as it stands in the symbol table, then demangled:
//
//	readline               the symbol
//	memcpy                 the default version
//	memcpy@GLIBC_2.2.5     that version
//	ns::C::method          every overload of it, and with template arguments left
//	                       out, where one template only has it
//	ns::C::method(int)     one overload
//	vec<int>::push         of one instance
//	core::fmt::write       Rust's, without the hash
//	main.(*T).Method       Go's
package symbols
