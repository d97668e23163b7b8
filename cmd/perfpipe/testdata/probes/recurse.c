/* Calls itself to a depth of 100: 101 calls and as many returns. */
__attribute__((noinline, noipa)) int down(int n) {
	int r = n ? down(n - 1) : 0;
	__asm__ volatile("");
	return r + 1;
}

int main(void) { return down(100) != 101; }
