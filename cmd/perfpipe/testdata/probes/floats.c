/* Numbers that are passed in vector registers, and one between them that is not. */
__attribute__((noinline, noipa)) double mixed(double d, int n, float f) { return d * n + f; }

int main(void) { return mixed(1.5, 7, 0.5f) != 11; }
