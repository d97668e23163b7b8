/* Every type of field with its largest, its smallest and no value. */
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define PROBED __attribute__((noinline, noipa))

enum sign { DOWN = -3, LEVEL, UP = 2147483647 };
enum color { RED, GREEN = 5, BLUE = 4294967295u };

struct node { int16_t v; struct node *next; };
struct pair { int32_t x; int64_t y; };
struct bits { unsigned lo : 3; int mid : 5; unsigned hi : 24; };
struct large { int64_t a, b, c; };
struct __attribute__((packed)) tight { uint8_t a; uint64_t wide : 40; int32_t b; };

struct rec {
	uint8_t u8; uint16_t u16; uint32_t u32; uint64_t u64;
	int8_t s8; int16_t s16; int32_t s32; int64_t s64;
	bool yes; char ch; enum sign sign; enum color color;
	unsigned b3 : 3; int sb5 : 5; int sb1 : 1; unsigned long b40 : 40; long sb40 : 40; bool bb : 1;
	int32_t ints[4]; uint8_t bytes[8]; int64_t longs[2]; char text[12];
	union { uint32_t whole; uint16_t part[2]; } un;
	struct { struct { int16_t deep; } mid; } in;
	struct { int32_t anon; };
	struct node *list; int32_t **ipp; const char **names; struct tight *tight; struct pair pairs[2];
	uintptr_t word;
};

PROBED void see(struct rec *r) { __asm__ volatile("" ::"r"(r)); }
PROBED long eleven(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h, int8_t i, bool j, const char *k) {
	return a + b + c + d + e + f + g + (long)h + i + j + k[0];
}
PROBED long byvalue(struct pair p, struct bits f, struct large l, int16_t last) { return p.x + p.y + f.lo + f.mid + f.hi + l.a + last; }
PROBED int8_t ret8(int i) { return i ? INT8_MIN : INT8_MAX; }
PROBED uint16_t ret16(int i) { return i ? 0 : UINT16_MAX; }
PROBED int64_t ret64(int i) { return i ? INT64_MIN : INT64_MAX; }
PROBED enum sign retsign(int i) { return i ? DOWN : UP; }
PROBED bool retbool(int i) { return i == 0; }
PROBED const char *rettext(int i) { return i ? NULL : "returned"; }

static int32_t big = INT32_MAX, small = INT32_MIN, none, *bigp = &big, *smallp = &small, *nonep = &none;
static struct node up2 = {INT16_MAX, NULL}, up1 = {1, &up2}, down2 = {INT16_MIN, NULL}, down1 = {-1, &down2}, zero2, zero1 = {0, &zero2};
static const char *upper[] = {"zero", "one"}, *lower[] = {"", "-1"}, *empty[] = {"", ""};
static struct tight tight1 = {255, 0xffffffffffull, INT32_MAX}, tight2 = {0, 1, INT32_MIN}, tight3;

static struct rec most = {
	.u8 = UINT8_MAX, .u16 = UINT16_MAX, .u32 = UINT32_MAX, .u64 = UINT64_MAX,
	.s8 = INT8_MAX, .s16 = INT16_MAX, .s32 = INT32_MAX, .s64 = INT64_MAX,
	.yes = true, .ch = 'z', .sign = UP, .color = BLUE,
	.b3 = 7, .sb5 = 15, .sb1 = 0, .b40 = 0xffffffffffull, .sb40 = 0x7fffffffffl, .bb = true,
	.ints = {INT32_MAX, 1, 2, 3}, .bytes = {255, 1, 2, 3, 4, 5, 6, 254}, .longs = {INT64_MAX, 1}, .text = "eleven char",
	.un = {UINT32_MAX}, .in = {{INT16_MAX}}, .anon = INT32_MAX,
	.list = &up1, .ipp = &bigp, .names = upper, .tight = &tight1, .pairs = {{1, 2}, {INT32_MAX, INT64_MAX}}, .word = 0x7fffffffffffffff,
};
static struct rec least = {
	.u8 = 1, .u16 = 256, .u32 = 65536, .u64 = 1ull << 63,
	.s8 = INT8_MIN, .s16 = INT16_MIN, .s32 = INT32_MIN, .s64 = INT64_MIN,
	.yes = false, .ch = 'A', .sign = DOWN, .color = GREEN,
	.b3 = 4, .sb5 = -16, .sb1 = -1, .b40 = 1ull << 39, .sb40 = -0x8000000000l, .bb = false,
	.ints = {INT32_MIN, -1, -2, -3}, .bytes = {0, 0, 0, 0, 0, 0, 0, 1}, .longs = {INT64_MIN, -1}, .text = "a",
	.un = {0x80000001}, .in = {{INT16_MIN}}, .anon = INT32_MIN,
	.list = &down1, .ipp = &smallp, .names = lower, .tight = &tight2, .pairs = {{-1, -2}, {INT32_MIN, INT64_MIN}}, .word = 1,
};
static struct rec zero = {.list = &zero1, .ipp = &nonep, .names = empty, .tight = &tight3};

int main(void) {
	see(&most);
	see(&least);
	see(&zero);
	see(NULL);
	see((struct rec *)0x10);
	eleven(INT8_MAX, UINT8_MAX, INT16_MAX, UINT16_MAX, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, INT8_MAX, true, "last");
	eleven(INT8_MIN, 0, INT16_MIN, 0, INT32_MIN, 0, INT64_MIN, 0, INT8_MIN, false, "");
	byvalue((struct pair){INT32_MAX, INT64_MAX}, (struct bits){7, 15, 0xffffff}, (struct large){INT64_MAX, 1, 2}, INT16_MAX);
	byvalue((struct pair){INT32_MIN, INT64_MIN}, (struct bits){0, -16, 0}, (struct large){INT64_MIN, -1, -2}, INT16_MIN);
	for (int i = 0; i < 2; i++) {
		ret8(i); ret16(i); ret64(i); retsign(i); retbool(i); rettext(i);
	}
	return 0;
}
