/* A function that is always called with the same factor, which is then not passed. */
static __attribute__((noinline)) int scaled(int a, int factor, short minus) { __asm__ volatile(""); return a * factor + minus; }
int main(int argc, char **argv) { return scaled(argc, 10, -3) + scaled(argc + 4, 10, -3) != 54; }
