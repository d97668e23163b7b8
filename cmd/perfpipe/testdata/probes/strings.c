/* Strings of every length, and pointers to what is none. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PROBED __attribute__((noinline, noipa))

struct box { int a, b; long c; const char *s; };

PROBED void one(const char *s) { __asm__ volatile("" ::"r"(s)); }
PROBED void three(const char *a, const char *b, const char *c) { __asm__ volatile("" ::"r"(a), "r"(b), "r"(c)); }
PROBED void boxed(struct box *p, int *q, struct box **pp) { __asm__ volatile("" ::"r"(p), "r"(q), "r"(pp)); }

/* of returns a string of n bytes, which begins with the number of them. */
static char *of(int n) {
	char *s = malloc(n + 32);
	memset(s, 'x', n + 32);
	int head = sprintf(s, "%d", n);
	s[head] = '.';
	s[n] = 0;
	return s;
}

int main(void) {
	static const int lengths[] = {100, 4000, 4095, 4096, 10000};
	one(NULL);
	one((char *)0x10);
	one((char *)0x7ffffff00000);
	one((char *)0xffff800000000000);
	one("");
	one("a");
	for (int i = 0; i < 5; i++)
		one(of(lengths[i]));
	/* One that ends with the last byte that is mapped, and one that does not end there. */
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(page + 4096, 4096);
	strcpy(page + 4096 - 5, "edge");
	one(page + 4096 - 5);

	three("first", of(10000), "third");
	three(of(10000), "second", NULL);
	three("", NULL, "third");
	three(of(2000), of(1500), of(300));
	three(of(3000), of(3000), "third");

	struct box full = {0, -1, 1, "in a box"}, none = {0, 0, 0, NULL};
	struct box *fullp = &full, *nonep = &none, *null = NULL, *bad = (struct box *)0x10;
	int seven = 7, zero = 0;
	boxed(&full, &seven, &fullp);
	boxed(&none, &zero, &nonep);
	boxed(NULL, NULL, NULL);
	boxed(bad, (int *)0x10, (struct box **)0x10);
	boxed((struct box *)0x7ffffff00000, (int *)0xffff800000000000, &null);
	boxed(&full, &seven, &bad);
	return 0;
}
