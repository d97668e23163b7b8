package symbols

import (
	"cmp"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// maxCache bounds ld.so.cache: one with 10,000 libraries has 1.5 MB.
const maxCache = 64 << 20

// FindLibrary returns the path, below o.Root, of the library with a soname
// ("libc.so.6"), or with its beginning ("libc"): from the loader's cache
// (/etc/ld.so.cache), then from the usual folders. Of several variants for different
// processors (glibc-hwcaps) it is the general one; of several machines, o.Machine's,
// else this machine's. The error names libraries with like names.
func FindLibrary(name string, o Options) (string, error) {
	if name == "" || strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("find library %q: a name without folders is needed, as libc.so.6", name)
	}
	libs, cacheErr := readCache(o)
	libs = slices.DeleteFunc(libs, func(l library) bool { return !forMachine(l.flags, o.Machine) })
	if p, ok := pick(libs, name); ok {
		return p, nil
	}
	if p, ok := pick(folderLibraries(o), name); ok {
		return p, nil
	}
	err := fmt.Errorf("find library %s: it is neither in the loader's cache nor in the usual folders%s", name, nearLibraries(libs, name))
	if cacheErr != nil {
		err = fmt.Errorf("%w (%w)", err, cacheErr)
	}
	return "", err
}

func readCache(o Options) ([]library, error) {
	const name = "/etc/ld.so.cache"
	st, ok := exists(o.Root, name)
	if !ok {
		return nil, fmt.Errorf("%s is not there", name)
	}
	if st.Size() > maxCache {
		return nil, fmt.Errorf("read %s: it has more than %d MB", name, maxCache>>20)
	}
	real, err := resolve(o.Root, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, cause(err))
	}
	b, err := os.ReadFile(real)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, cause(err))
	}
	libs, err := parseCache(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return libs, nil
}

// forMachine compares the machine in an entry's flags (FLAG_X8664_LIB64 and others,
// sysdeps/generic/ldconfig.h).
func forMachine(flags uint32, m elf.Machine) bool {
	want := uint32(0)
	switch {
	case m == elf.EM_X86_64, m == elf.EM_NONE && runtime.GOARCH == "amd64":
		want = 0x0300
	case m == elf.EM_AARCH64, m == elf.EM_NONE && runtime.GOARCH == "arm64":
		want = 0x0a00
	default:
		return true
	}
	return flags&0xff00 == want
}

// pick chooses among libraries: the soname itself, else name.so.N with the greatest N.
func pick(libs []library, name string) (string, bool) {
	for _, general := range []bool{true, false} {
		for _, l := range libs {
			if l.soname == name && (l.hwcap == 0) == general {
				return l.path, true
			}
		}
	}
	best, found := library{}, false
	for _, l := range libs {
		if l.hwcap != 0 || !strings.HasPrefix(l.soname, name+".so") {
			continue
		}
		if !found || compareVersions(l.soname, best.soname) > 0 {
			best, found = l, true
		}
	}
	return best.path, found
}

// compareVersions compares the numbers behind ".so.".
func compareVersions(a, b string) int {
	_, va, _ := strings.Cut(a, ".so")
	_, vb, _ := strings.Cut(b, ".so")
	pa, pb := strings.Split(va, "."), strings.Split(vb, ".")
	for i := range min(len(pa), len(pb)) {
		na, _ := strconv.Atoi(pa[i])
		nb, _ := strconv.Atoi(pb[i])
		if na != nb {
			return cmp.Compare(na, nb)
		}
	}
	return cmp.Compare(len(pa), len(pb))
}

// folderLibraries lists the folders that loaders look in by themselves: glibc's,
// Debian's, musl's.
func folderLibraries(o Options) []library {
	dirs := []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"}
	if t, ok := multiarch(o.Machine); ok {
		dirs = append([]string{"/lib/" + t, "/usr/lib/" + t, "/usr/local/lib/" + t}, dirs...)
	}
	var libs []library
	for _, dir := range dirs {
		real, err := resolve(o.Root, dir)
		if err != nil {
			continue
		}
		entries, err := os.ReadDir(real)
		if err != nil {
			continue
		}
		for _, e := range entries {
			p := path.Join(dir, e.Name())
			if !strings.Contains(e.Name(), ".so") {
				continue
			}
			if _, ok := exists(o.Root, p); ok {
				libs = append(libs, library{soname: e.Name(), path: p})
			}
		}
	}
	return libs
}

// multiarch returns Debian's name for a machine's folders.
func multiarch(m elf.Machine) (string, bool) {
	switch {
	case m == elf.EM_X86_64, m == elf.EM_NONE && runtime.GOARCH == "amd64":
		return "x86_64-linux-gnu", true
	case m == elf.EM_AARCH64, m == elf.EM_NONE && runtime.GOARCH == "arm64":
		return "aarch64-linux-gnu", true
	}
	return "", false
}

// nearLibraries names the libraries that are like name.
func nearLibraries(libs []library, name string) string {
	stem, _, _ := strings.Cut(name, ".so")
	type scored struct {
		name string
		cost int
	}
	var near []scored
	var row []int
	for _, l := range libs {
		other, _, _ := strings.Cut(l.soname, ".so")
		limit := max(1, len(stem)/3)
		var cost int
		cost, row = distance(strings.ToLower(strings.TrimPrefix(other, "lib")), strings.ToLower(strings.TrimPrefix(stem, "lib")), limit, row)
		if cost <= limit && !slices.ContainsFunc(near, func(s scored) bool { return s.name == l.soname }) {
			near = append(near, scored{l.soname, cost})
		}
	}
	if len(near) == 0 {
		return ""
	}
	slices.SortStableFunc(near, func(a, b scored) int { return cmp.Compare(a.cost, b.cost) })
	names := make([]string, 0, maxNearest)
	for _, s := range near[:min(len(near), maxNearest)] {
		names = append(names, s.name)
	}
	return "; did you mean " + orList(names) + "?"
}

// FindCommand returns the path, below o.Root, of a command that is looked up in the
// folders of this process's PATH. A name with a folder in it is returned as it is.
func FindCommand(name string, o Options) (string, error) {
	if name == "" {
		return "", fmt.Errorf("find command: no name")
	}
	if strings.ContainsRune(name, '/') {
		return name, nil
	}
	list := os.Getenv("PATH")
	for _, dir := range filepath.SplitList(list) {
		if !path.IsAbs(dir) {
			continue
		}
		p := path.Join(dir, name)
		if st, ok := exists(o.Root, p); ok && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("find command %s: it is in no folder of PATH (%s); give its whole path", name, list)
}
