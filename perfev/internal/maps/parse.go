package maps

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// ParseMaps takes the executable mappings from the text of /proc/PID/maps
// (proc_pid_maps(5)). Lines that are none are passed over.
func ParseMaps(text string) []Region {
	var list []Region
	for line := range strings.Lines(text) {
		if r, ok := parseLine(strings.TrimSuffix(line, "\n")); ok {
			list = append(list, r)
		}
	}
	return list
}

// parseLine reads "7f1c-7f1d r-xp 00028000 fe:01 1234      /path with blanks".
func parseLine(line string) (r Region, ok bool) {
	var f [5]string
	for i := range f {
		f[i], line, _ = strings.Cut(line, " ")
	}
	if len(f[1]) < 3 || f[1][2] != 'x' {
		return r, false
	}
	lo, hi, _ := strings.Cut(f[0], "-")
	start, err1 := strconv.ParseUint(lo, 16, 64)
	end, err2 := strconv.ParseUint(hi, 16, 64)
	offset, err3 := strconv.ParseUint(f[2], 16, 64)
	maj, mnr, _ := strings.Cut(f[3], ":")
	major, err4 := strconv.ParseUint(maj, 16, 32)
	minor, err5 := strconv.ParseUint(mnr, 16, 32)
	inode, err6 := strconv.ParseUint(f[4], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil || err5 != nil || err6 != nil || end <= start {
		return r, false
	}
	// seq_path writes a line feed in a name, and that alone, as \012.
	path := strings.ReplaceAll(strings.TrimLeft(line, " "), `\012`, "\n")
	return Region{Path: path, Dev: Dev(uint32(major), uint32(minor)), Inode: inode, Start: start, Size: end - start, Offset: offset}, true
}

// Dev makes one number of a device's two.
func Dev(major, minor uint32) uint64 { return uint64(major)<<32 | uint64(minor) }

// miscBuildID is PERF_RECORD_MISC_MMAP_BUILD_ID: the record has the build id where
// others have device and inode.
const miscBuildID = 1 << 14

// DecodeMMAP2 reads PERF_RECORD_MMAP2 behind its header and without sample_id:
//
//	u32 pid, tid; u64 addr, len, pgoff;
//	union { u32 maj, min; u64 ino, ino_generation; | u8 size; u8[3]; u8 build_id[20]; };
//	u32 prot, flags; char filename[];
//
// (include/uapi/linux/perf_event.h). ok is false where it is too short.
func DecodeMMAP2(body []byte, misc uint16) (pid int32, r Region, ok bool) {
	const name = 64
	if len(body) < name {
		return 0, r, false
	}
	le := binary.LittleEndian
	r = Region{Start: le.Uint64(body[8:]), Size: le.Uint64(body[16:]), Offset: le.Uint64(body[24:])}
	if misc&miscBuildID != 0 {
		r.BuildID = hex.EncodeToString(body[36 : 36+min(int(body[32]), 20)])
	} else {
		r.Dev, r.Inode = Dev(le.Uint32(body[32:]), le.Uint32(body[36:])), le.Uint64(body[40:])
	}
	path, _, _ := bytes.Cut(body[name:], []byte{0})
	r.Path = string(path)
	return int32(le.Uint32(body)), r, true
}
