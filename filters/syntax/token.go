package syntax

// Kind is what a token is.
type Kind uint8

// Kinds of tokens. Operators that only statements know are scanned as well, so
// that a message can name them.
const (
	EOF Kind = iota
	Name
	Num      // as written: it may be malformed
	Text     // "..." or '...', no escapes
	CText    // c"...", with C's escapes
	CPUs     // CPUS{...} as a whole
	Dollar   // $name
	Illegal  // a byte that begins no token
	LParen   // (
	RParen   // )
	LBrack   // [
	RBrack   // ]
	LBrace   // {
	RBrace   // }
	Comma    // ,
	Semi     // ;
	Colon    // :
	Question // ?
	Dot      // .
	DotDot   // ..
	OrOr     // ||
	AndAnd   // &&
	Or       // |
	Xor      // ^
	And      // &
	Eq       // ==
	Ne       // !=
	Tilde    // ~
	NotTilde // !~
	In       // in
	Lt       // <
	Le       // <=
	Gt       // >
	Ge       // >=
	Shl      // <<
	Shr      // >>
	Plus     // +
	Minus    // -
	Star     // *
	Slash    // /
	Percent  // %
	Not      // !
	Assign   // =, and the assigning operators
	Incr     // ++ and --
)

var kindText = [...]string{
	EOF: "end of the filter", Name: "name", Num: "number", Text: "string", CText: "string", CPUs: "CPUS{}", Dollar: "$name", Illegal: "illegal character",
	LParen: "(", RParen: ")", LBrack: "[", RBrack: "]", LBrace: "{", RBrace: "}", Comma: ",", Semi: ";", Colon: ":", Question: "?", Dot: ".", DotDot: "..",
	OrOr: "||", AndAnd: "&&", Or: "|", Xor: "^", And: "&", Eq: "==", Ne: "!=", Tilde: "~", NotTilde: "!~", In: "in", Lt: "<", Le: "<=", Gt: ">", Ge: ">=",
	Shl: "<<", Shr: ">>", Plus: "+", Minus: "-", Star: "*", Slash: "/", Percent: "%", Not: "!", Assign: "=", Incr: "++",
}

// String returns the operator as it is written, or a word for the kind.
func (k Kind) String() string {
	if int(k) < len(kindText) {
		return kindText[k]
	}
	return "token"
}

// Token is one word of a filter: src[Pos:End].
type Token struct {
	Kind     Kind
	Pos, End int
}

// precedence of the binary operators above "&&", C's ladder; 0 is none.
func precedence(k Kind) int {
	switch k {
	case Or:
		return 1
	case Xor:
		return 2
	case And:
		return 3
	case Eq, Ne, Tilde, In:
		return 4
	case Lt, Le, Gt, Ge:
		return 5
	case Shl, Shr:
		return 6
	case Plus, Minus:
		return 7
	case Star, Slash, Percent:
		return 8
	}
	return 0
}
