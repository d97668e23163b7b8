package symbols

import (
	"bytes"
	"strings"
)

// notMangled are words of demangled names that mangled ones do not have as they are:
// keywords, the ABI's abbreviations (St, Sa, Ss), what demanglers add.
const notMangled = " std allocator basic_string string basic_istream basic_ostream basic_iostream istream ostream iostream char_traits " +
	"operator unsigned signed char short int long float double void bool wchar_t char8_t char16_t char32_t const volatile restrict " +
	"anonymous namespace lambda unnamed type vtable typeinfo typeid guard variable for thunk virtual non covariant return construction " +
	"decltype nullptr_t auto sizeof alignof noexcept throw new delete co_await static_cast dynamic_cast const_cast reinterpret_cast " +
	"true false clone abi impl dyn mut unsafe extern usize isize str closure shim as where half decimal32 decimal64 decimal128 " +
	"__int128 __float128 _Float16 _Float32 _Float64 __ibm128 bfloat16_t reference temporary initialization hidden alias name function " +
	"parm parameter default arg local transaction safe template object VTT block_literal invocation cxx11 __bf16 "

// needle returns the longest identifier of pattern that every symbol that matches it
// must hold as it is, "" where none can be told. Mangling keeps identifiers, and one
// that is repeated is spelled out the first time. With it, 1 of 1,000 symbols has to
// be demangled.
func needle(pattern string) string {
	best := ""
	for i := 0; i < len(pattern); {
		c := pattern[i]
		if c == '[' {
			// A class of characters, or Go's and C++'s brackets: no identifier either way.
			n := strings.IndexByte(pattern[i:], ']')
			if n < 0 {
				return best
			}
			i += n + 1
			continue
		}
		if !identByte(c) {
			i++
			continue
		}
		start := i
		for i < len(pattern) && identByte(pattern[i]) {
			i++
		}
		word := pattern[start:i]
		wild := start > 0 && wildByte(pattern[start-1]) || i < len(pattern) && wildByte(pattern[i])
		if len(word) > len(best) && keptByMangling(word, wild) {
			best = word
		}
	}
	return best
}

// wildByte reports whether a word beside c may be a part of a longer one.
func wildByte(c byte) bool { return c == '*' || c == '?' || c == '[' || c == ']' }

func keptByMangling(word string, wild bool) bool {
	// Punycode moves letters that are not ASCII; numbers are written in other ways.
	if startsDigit(word) || strings.ContainsFunc(word, func(r rune) bool { return r >= 0x80 }) {
		return false
	}
	if wild {
		return !strings.Contains(notMangled, word)
	}
	return !strings.Contains(notMangled, " "+word+" ")
}

// mayMatch reports whether a raw name has to be demangled.
func mayMatch(raw []byte, needle string) bool {
	if len(raw) < 3 || raw[0] != '_' {
		return false
	}
	return needle == "" || bytes.Contains(raw, []byte(needle))
}
