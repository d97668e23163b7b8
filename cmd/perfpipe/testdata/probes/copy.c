/* A hundred copies of 1000 to 1099 bytes, through each of memcpy's two versions. */
#include <stdlib.h>
#include <string.h>

void *old_memcpy(void *, const void *, size_t);
#ifdef OLD
__asm__(".symver old_memcpy, memcpy@GLIBC_2.2.5");
#else
#define old_memcpy memcpy
#endif

int main(int argc, char **argv) {
	static char from[5000], to[5000];
	size_t step = strtoul(argv[1], NULL, 0);
	memset(from, argc, sizeof from);
	for (size_t i = 0; i < 100; i++)
		old_memcpy(to, from, 1000 + i * step);
	return to[17] != argc;
}
