/* Every type of field that a probe is asked for, with known values. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROBED __attribute__((noinline, noipa))

enum color { RED, GREEN = 5, BLUE = 7 };
enum level { LOW = -2, MID, HIGH = 1000 };
typedef enum { OFF, ON } power;
typedef unsigned char octet_t;
typedef uint8_t mac_t[6];

struct pair { int32_t x; int64_t y; };
struct big { long a, b, c; };
struct mixed { double d; long n; };
struct half { int i; float f; };
struct flags { unsigned lo : 3; int mid : 5; unsigned hi : 24; int32_t last; };
struct node { int v; struct node *next; };
struct __attribute__((packed)) tight { uint8_t a; uint64_t wide : 40; int32_t b; };

struct req {
	uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64;
	int8_t s8; int16_t s16; int32_t s32; int64_t s64;
	bool yes; char ch; enum color color; enum level level; power power;
	unsigned b3 : 3; int sb5 : 5; unsigned b1 : 1; unsigned b20 : 20; long sb40 : 40; bool bb : 1;
	float f32; double f64;
	struct { int x; struct { const char *y; } deep; } inner;
	struct { int anon_a; union { int anon_u; unsigned char anon_c[4]; }; };
	union { uint32_t whole; uint16_t part[2]; } un;
	uint8_t bytes[16]; int32_t ints[4]; int16_t grid[2][3]; char text[12]; mac_t mac; long many[80];
	const char *name; char *null; unsigned char *utext; uint8_t *data; char **pp; const char *const *argv;
	int *ip; int **ipp; void *vp; void (*fn)(void);
	struct node *list; struct pair *pairs; struct tight *tight; volatile const int cv;
};

PROBED long handle(struct req *r, const char *s, int n, unsigned char c) { return r->u8 + s[0] + n + c; }
PROBED long widths(int8_t a, uint16_t b, int32_t c, uint64_t d, bool e, enum level f) { return a + b + c + (long)d + e + f; }
PROBED long eight(int a, int b, int c, int d, int e, int f, short g, const char *h) { return a + b + c + d + e + f + g + h[0]; }
PROBED long byvalue(struct pair p, struct flags f, struct big g, int last) { return p.x + p.y + f.lo + f.mid + f.hi + f.last + g.a + last; }
PROBED double floats(double d, int a, float f, struct mixed m, struct half h, long double ld, int b) { return d + a + f + m.d + m.n + h.i + h.f + (double)ld + b; }
PROBED struct big hidden(int a, const char *s) { return (struct big){a, s[0], 3}; }
PROBED struct pair twowords(int a) { return (struct pair){a, -a}; }
PROBED __int128 wide(int a, __int128 w, int b) { return a + w + b; }
PROBED long crowded(int a, int b, int c, int d, int e, struct pair p, int f) { return a + b + c + d + e + p.x + f; }
PROBED int variadic(const char *fmt, ...) { return fmt[0]; }
PROBED void nothing(void) { __asm__ volatile(""); }
PROBED const char *word(int i) { return i ? "word" : NULL; }
PROBED enum level leveled(int i) { return i ? LOW : HIGH; }

static struct node n3 = {33, NULL}, n2 = {22, &n3}, n1 = {11, &n2};
static struct pair pairs[4] = {{1, 10}, {2, 20}, {3, 30}, {4, -40}};
static struct tight tight = {1, 0x123456789aULL, -9};
static const char *argv0[] = {"zero", "one", "two", NULL};
static int answer = 42, *answerp = &answer;
static char *ppv = "behind";

int main(void) {
	static struct req r = {
		.u8 = 200, .u16 = 60000, .u32 = 4000000000u, .u64 = 18000000000000000000ull,
		.s8 = -100, .s16 = -30000, .s32 = -2000000000, .s64 = -9000000000000000000ll,
		.yes = true, .ch = 'q', .color = BLUE, .level = LOW, .power = ON,
		.b3 = 5, .sb5 = -7, .b1 = 1, .b20 = 0xabcde, .sb40 = -123456789012l, .bb = true,
		.f32 = 1.5f, .f64 = -2.25, .inner = {77, {"deep"}}, .anon_a = 88, .anon_u = 0x01020304,
		.un = {0xbeefcafe}, .bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255},
		.ints = {-1, 2, -3, 4}, .grid = {{1, 2, 3}, {4, 5, -6}}, .text = "in place", .mac = {0xde, 0xad, 0xbe, 0xef, 0, 1},
		.many = {[79] = 79}, .name = "a name", .null = NULL, .utext = (unsigned char *)"unsigned", .data = (uint8_t *)"data",
		.pp = &ppv, .argv = argv0, .ip = &answer, .ipp = &answerp, .vp = &answer, .list = &n1, .pairs = pairs,
		.tight = &tight, .cv = -5,
	};
	r.fn = nothing;
	handle(&r, "hello", -3, 250);
	widths(-1, 65535, -70000, 1ull << 63, true, LOW);
	eight(1, 2, 3, 4, 5, 6, -7, "eighth");
	byvalue((struct pair){-7, 1l << 40}, (struct flags){6, -9, 0xfedcba, -11}, (struct big){100, 101, 102}, 9);
	floats(1.0, 2, 3.0f, (struct mixed){4.0, 5}, (struct half){6, 0.5f}, 8.0L, 10);
	hidden(12, "shifted");
	twowords(3);
	wide(1, ((__int128)5 << 64) + 4, 7);
	crowded(1, 2, 3, 4, 5, (struct pair){6, 7}, 8);
	variadic("%d %s", 1, "two");
	nothing();
	word(1);
	leveled(1);
	return 0;
}
