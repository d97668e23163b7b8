package filters

import "strings"

// kernelCaret returns the token that the kernel's error position means. The kernel
// counts from 1 in parse_pred and from 0 before it, and some of its errors come
// after it has read the token; ok is false where it gives no position.
func kernelCaret(filter, reason string, pos int) (from, to int, ok bool) {
	switch reason {
	case "", "Error", "Meaningless filter expression":
		return 0, 0, false
	case "Too many terms in predicate expression", "Missing matching quote", "Too many '('", "Too few '('":
		// where it stands
	case "Field not found", "Operand too long", "Function not found":
		pos = min(pos-2, len(filter)-1) // behind the token
	default:
		pos--
		if reason == "Invalid value (did you forget quotes)?" && pos >= len(filter) && strings.Contains(filter, ".function") {
			pos = len(filter) - 1 // here it has read the number
		}
	}
	if pos >= len(filter) {
		return len(filter), len(filter) + 1, true
	}
	if reason == "Missing matching quote" {
		return pos, pos + 1, true
	}
	from, to = tokenAt(filter, pos)
	return from, to, true
}

// tokenAt cuts filter into words, quoted strings, CPUS{...} and operators, and
// returns the one that holds pos; blanks belong to what follows.
func tokenAt(filter string, pos int) (from, to int) {
	for i := 0; i < len(filter); {
		j := i
		switch c := filter[i]; {
		case isSpace(c):
			i++
			continue
		case strings.HasPrefix(filter[i:], "CPUS{") && strings.IndexByte(filter[i:], '}') > 0:
			j = i + strings.IndexByte(filter[i:], '}') + 1
		case isAlnum(c) || c == '_':
			for j < len(filter) && (isAlnum(filter[j]) || filter[j] == '_') {
				j++
			}
		case (c == '"' || c == '\'') && strings.IndexByte(filter[i+1:], c) >= 0:
			j = i + strings.IndexByte(filter[i+1:], c) + 2
		default:
			j = i + 1
			for _, op := range []string{"&&", "||", "==", "!=", "!~", "<=", ">=", "<<", ">>"} {
				if strings.HasPrefix(filter[i:], op) {
					j = i + 2
				}
			}
		}
		if pos < j {
			return i, j
		}
		i = j
	}
	return len(filter), len(filter) + 1
}
