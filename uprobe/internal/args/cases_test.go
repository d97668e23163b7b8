package args

// sample is an argument of a function of a test program, and the value that the
// program calls it with, as the kernel's text trace prints it.
type sample struct{ fn, want, value string }

var fieldSamples = []sample{
	{"handle", "r->u8", "200"}, {"handle", "r->u16", "60000"}, {"handle", "r->u32", "4000000000"},
	{"handle", "r->u64", "18000000000000000000"}, {"handle", "r->s8", "-100"}, {"handle", "r->s16", "-30000"},
	{"handle", "r->s32", "-2000000000"}, {"handle", "r->s64", "-9000000000000000000"},
	{"handle", "r->yes", "1"}, {"handle", "r->ch", "113"}, {"handle", "r->color", "7"}, {"handle", "r->level", "-2"},
	{"handle", "r->power", "1"}, {"handle", "r->b3", "5"}, {"handle", "r->sb5", "-7"}, {"handle", "r->b1", "1"},
	{"handle", "r->b20", "703710"}, {"handle", "r->sb40", "-123456789012"}, {"handle", "r->bb", "1"},
	{"handle", "r->sb5:u8", "25"}, {"handle", "r->f32", "0x3fc00000"}, {"handle", "r->f64", "0xc002000000000000"},
	{"handle", "r->inner.x", "77"}, {"handle", "r->inner.deep.y", `"deep"`}, {"handle", "r->anon_a", "88"},
	{"handle", "r->anon_u", "16909060"}, {"handle", "r->anon_c[1]", "3"}, {"handle", "r->anon_c", "{4,3,2,1}"},
	{"handle", "r->un.whole", "3203386110"}, {"handle", "r->un.part[1]", "48879"}, {"handle", "r->un.part", "{51966,48879}"},
	{"handle", "r->bytes", "{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,255}"}, {"handle", "r->ints", "{-1,2,-3,4}"},
	{"handle", "*r->ints", "-1"}, {"handle", "r->grid", "{1,2,3,4,5,-6}"}, {"handle", "r->grid[1]", "{4,5,-6}"},
	{"handle", "r->grid[1][2]", "-6"}, {"handle", "r->text", `"in place"`}, {"handle", "r->text[3]", "112"},
	{"handle", "r->mac", "{222,173,190,239,0,1}"}, {"handle", "r->many[79]", "79"},
	{"handle", "r->name", `"a name"`}, {"handle", "r->null", "(fault)"}, {"handle", "r->utext", `"unsigned"`},
	{"handle", "r->data:string", `"data"`}, {"handle", "r->data:buf[4]", "{100,97,116,97}"},
	{"handle", "r->bytes:buf[16]", "{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,255}"},
	{"handle", "r->bytes:buf[72]", "{0x807060504030201,0xff0f0e0d0c0b0a09,0x2ffffffff,0x4fffffffd,0x4000300020001,*}"},
	{"handle", "*r->pp", `"behind"`}, {"handle", "r->argv[2]", `"two"`}, {"handle", "*r->ip", "42"}, {"handle", "**r->ipp", "42"},
	{"handle", "*r->vp:u32", "42"}, {"handle", "r->list->next->next->v", "33"}, {"handle", "r->list->next->next->next->v", "0"},
	{"handle", "r->pairs[3].y", "-40"}, {"handle", "r->pairs[2].x:x32", "0x3"}, {"handle", "r->tight->wide", "78187493530"},
	{"handle", "r->tight->b", "-9"}, {"handle", "r->cv", "-5"},
	{"handle", "s", `"hello"`}, {"handle", "*s", "104"}, {"handle", "s[1]", "101"}, {"handle", "s:buf[5]", "{104,101,108,108,111}"},
	{"handle", "n", "-3"}, {"handle", "n:u32", "4294967293"}, {"handle", "c", "250"}, {"handle", "c:s8", "-6"},
	{"handle", "arg1", `"hello"`}, {"handle", "arg2:x32", "0xfffffffd"}, {"handle", "%dx:s32", "-3"},
	{"widths", "a", "-1"}, {"widths", "b", "65535"}, {"widths", "c", "-70000"}, {"widths", "d", "9223372036854775808"},
	{"widths", "e", "1"}, {"widths", "f", "-2"}, {"widths", "f:bool", "254"},
	{"eight", "e", "5"}, {"eight", "f", "6"}, {"eight", "g", "-7"}, {"eight", "h", `"eighth"`}, {"eight", "*h:char", "101"},
	{"byvalue", "p.x", "-7"}, {"byvalue", "p.y", "1099511627776"}, {"byvalue", "f.lo", "6"}, {"byvalue", "f.mid", "-9"},
	{"byvalue", "f.hi", "16702650"}, {"byvalue", "f.last", "-11"}, {"byvalue", "g.a", "100"}, {"byvalue", "g.c", "102"},
	{"byvalue", "last", "9"},
	{"floats", "a", "2"}, {"floats", "m.n", "5"}, {"floats", "h.i", "6"}, {"floats", "h.f", "1056964608"}, {"floats", "b", "10"},
	{"hidden", "a", "12"}, {"hidden", "s", `"shifted"`}, {"hidden%return", "ret.a", "12"}, {"hidden%return", "ret.b", "115"},
	{"hidden%trampoline", "ret.c", "3"},
	{"twowords%return", "ret.x", "3"}, {"twowords%return", "ret.y", "-3"}, {"twowords%trampoline", "ret.x", "3"},
	{"twowords%trampoline", "ret.y", "-3"},
	{"wide", "b", "7"}, {"wide", "w:x64", "0x4"}, {"crowded", "e", "5"}, {"crowded", "f", "8"}, {"crowded", "p.x", "6"},
	{"crowded", "p.y", "7"}, {"variadic", "fmt", `"%d %s"`}, {"variadic", "arg1:s32", "1"}, {"variadic", "arg2:string", `"two"`},
	{"word%trampoline", "ret", `"word"`}, {"word%return", "retval", `"word"`}, {"leveled%return", "ret", "-2"},
}

const (
	orderAdd   = "_ZN4shop5Order3addEiRKNS_5PointENS_4KindE"
	orderTitle = "_ZN4shop5Order5titleB5cxx11EiPKc"
	orderFixed = "_ZN4shop5Order5fixedENS_5EmptyEiNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEERi"
	orderConst = "_ZNK4shop5Order3addEPKc"
	orderSelf  = "_ZN4shop5Order4selfENS_5PointEOS1_"
	sumOf      = "_ZN4shop3sumIJilcEEEiDpT_"
)

var methodSamples = []sample{
	{orderAdd, "this->id", "41"}, {orderAdd, "this->count", "7"}, {orderAdd, "n", "5"}, {orderAdd, "p.x", "3"},
	{orderAdd, "p.y", "-4"}, {orderAdd, "k", "200"}, {orderAdd, "this->who._M_string_length", "25"},
	{orderAdd, "this->who._M_dataplus._M_p", `"somebody with a long name"`}, {orderAdd + "%return", "ret", "215"},
	{orderTitle, "this->count", "7"}, {orderTitle, "n", "6"}, {orderTitle, "s", `"shifted"`},
	{orderTitle + "%trampoline", "ret._M_string_length", "8"}, {orderTitle + "%trampoline", "ret._M_dataplus._M_p", `"shifted6"`},
	{orderFixed, "n", "8"}, {orderFixed, "by._M_string_length", "8"}, {orderFixed, "by._M_dataplus._M_p", `"by value"`},
	{orderAdd, "this->who", `"somebody with a long name"`}, {orderTitle + "%trampoline", "ret", `"shifted6"`},
	{orderFixed, "by", `"by value"`}, {orderFixed, "by:string", `"by value"`}, {orderAdd, "this->who:string", `"somebody with a long name"`},
	{orderFixed, "out", "99"}, {orderConst, "this->id", "41"}, {orderConst, "s", `"const"`},
	{orderSelf, "p.x", "3"}, {orderSelf, "p.y", "-4"}, {orderSelf, "q.y", "2"}, {orderSelf + "%return", "ret.id", "41"},
	{sumOf, "arg0", "1"}, {sumOf, "arg1", "2"}, {sumOf, "arg2", "3"},
}

const method = "main.(*thing).method"

var goSamples = []sample{
	{method, "t.id", "7"}, {method, "t.name", `"seven"`}, {method, "t->on", "1"}, {method, "t.in.tag", `"in"`},
	{method, "t.in.n", "-5"}, {method, "t.list[1]", "-5"}, {method, "t.list.len", "3"}, {method, "t.next.name", `"eight"`},
	{method, "t.tag", `"embedded"`}, {method, "t.n", "9"}, {method, "s", `"hello"`}, {method, "s.len", "5"},
	{method, "s[1]", "101"}, {method, "n", "5"}, {method, "b:string", `"abc"`}, {method, "b.len", "3"}, {method, "b[2]", "99"},
	{method, "b:buf[3]", "{97,98,99}"}, {method, "arg4", "9"}, {method, "z", "1"},
	{method + "%return", "ret0", "20"}, {method + "%return", "ret1.tab", "0x0"},
	{"main.many", "a", "-1"}, {"main.many", "h", "8"}, {"main.many", "i", `"onstack"`}, {"main.many", "j", "65535"},
	{"main.many", "k", "11"}, {"main.many%return", "x", "51"}, {"main.many%return", "y", `"onstack"`},
	{"main.byval", "p.a", "1"}, {"main.byval", "p.b", "-2"}, {"main.byval", "p.c", "3"}, {"main.byval", "one[0]", "4"},
	{"main.byval", "two", "{5,6}"}, {"main.byval", "two[1]", "6"}, {"main.byval", "last", "12"},
	{"main.byval%return", "ret.a", "26"}, {"main.byval%return", "ret.b", "-2"}, {"main.byval%return", "ret.c", "3"},
	{"main.large", "t.id", "7"}, {"main.large", "t.name", `"seven"`}, {"main.large", "t.list[2]", "6"}, {"main.large", "t.n", "9"},
	{"main.large", "after", "13"}, {"main.large", "w", `"words"`}, {"main.large%return", "ret0.id", "7"},
	{"main.large%return", "ret0.name", `"seven"`}, {"main.large%return", "ret1", "18"},
	{"main.plain", "i", "1"}, {"main.plain%return", "ret", "2"},
}

var rustSamples = []sample{
	{"handle", "s", `"hello"`}, {"handle", "s.length", "5"}, {"handle", "n", "9"}, {"handle", "p.x", "-3"}, {"handle", "p->y", "44"},
	{"handle", "ok", "1"}, {"handle", "v.length", "3"}, {"byval", "p.y", "2"}, {"byval", "p.x", "1"},
	{"two", "t.a", "31"}, {"two", "t.b", "32"}, {"two", "s.b", "34"}, {"two", "last", "35"}, {"two%return", "ret.a", "35"}, {"two%return", "ret.b", "31"},
	{"owned", "g", "-2"}, {"owned", "c", "122"}, {"owned", "x->y", "9"}, {"owned", "s.vec.len", "3"},
}
