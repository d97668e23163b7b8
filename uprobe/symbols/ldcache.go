package symbols

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// cacheMagic begins the part of ld.so.cache that glibc 2.2 and newer read (struct
// cache_file_new, sysdeps/generic/dl-cache.h). Before glibc 2.32 an older part may
// stand before it.
const cacheMagic = "glibc-ld.so.cache1.1"

// Sizes of struct cache_file_new without entries and struct file_entry_new.
const (
	cacheHeader = 48
	cacheEntry  = 24
)

// library is one entry of ld.so.cache.
type library struct {
	soname, path string
	flags        uint32 // FLAG_ELF_LIBC6 (3) and the machine
	hwcap        uint64 // not 0: for some processors alone
}

var errCache = errors.New("not an ld.so.cache of glibc 2.2 or newer, or damaged; ldconfig writes it anew")

// parseCache reads ld.so.cache. Entries whose names leave the file are left out.
func parseCache(b []byte) ([]library, error) {
	at := bytes.Index(b, []byte(cacheMagic))
	if at < 0 {
		return nil, errCache
	}
	b = b[at:]
	if len(b) < cacheHeader {
		return nil, errCache
	}
	order := cacheOrder(b)
	n := uint64(order.Uint32(b[20:]))
	if n > uint64(len(b)-cacheHeader)/cacheEntry {
		return nil, errCache
	}
	libs := make([]library, 0, n)
	for i := range n {
		e := b[cacheHeader+i*cacheEntry:]
		soname, ok := cacheString(b, order.Uint32(e[4:]))
		if !ok {
			continue
		}
		path, ok := cacheString(b, order.Uint32(e[8:]))
		if !ok || path[0] != '/' {
			continue
		}
		libs = append(libs, library{soname, path, order.Uint32(e), order.Uint64(e[16:])})
	}
	return libs, nil
}

// cacheOrder tells the byte order: flags (since 2.33) have it in two bits, and
// before that it is the machine's.
func cacheOrder(b []byte) binary.ByteOrder {
	// CACHE_FILE_FLAGS_ENDIAN_BIG is 3.
	if b[28]&3 == 3 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// maxLibraryPath is PATH_MAX of linux/limits.h.
const maxLibraryPath = 4096

func cacheString(b []byte, off uint32) (string, bool) {
	if uint64(off) >= uint64(len(b)) {
		return "", false
	}
	b = b[off:]
	n := bytes.IndexByte(b[:min(len(b), maxLibraryPath)], 0)
	if n <= 0 {
		return "", false
	}
	return string(b[:n]), true
}
