/* Sixty calls of left, thirty of right, with numbers and words that repeat; then, where
 * it is asked to, calls of tick until it is told to end. */
#include <stddef.h>
#include <unistd.h>

#define PROBED __attribute__((noinline, noipa))

PROBED int left(int n, const char *s) {
	__asm__ volatile("" ::"r"(s));
	return n * 2;
}
PROBED int right(int n, const char *s) {
	__asm__ volatile("" ::"r"(s));
	return n * 3;
}
PROBED int tick(int n) { return n + 1; }

int main(int argc, char **argv) {
	static const char *words[] = {"alpha", "beta", NULL, "gamma ray", "", "alphabet"};
	int sum = 0;
	for (int i = -10; i < 50; i++) {
		sum += left(i, words[(i + 10) % 6]);
		if (i % 2 == 0)
			sum += right(i, words[(i + 10) % 6]);
	}
	for (int i = 0; argc > 1; i++) {
		tick(i);
		usleep(2000);
	}
	return sum == 0;
}
