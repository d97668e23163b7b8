/* Exceptions that pass a function: every third call throws. */
struct thrown { int n; };

__attribute__((noinline, noclone)) int deep(int n) {
	asm volatile("");
	if (n % 3 == 0)
		throw thrown{n};
	return n + 1;
}

__attribute__((noinline, noclone)) int middle(int n) {
	asm volatile("");
	return deep(n) * 2;
}

int main() {
	int caught = 0;
	for (int i = 0; i < 30; i++) {
		try {
			middle(i);
		} catch (const thrown &) {
			caught++;
		}
	}
	return caught != 10;
}
