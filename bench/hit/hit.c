/* hit calls one function with two integers and a string in a loop on one processor,
 * and prints what a call took, as the Load of bench/results.go in JSON.
 *
 *	hit CPU CALLS
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A fraction of a millisecond under a recorder, so that few chunks are interrupted by
 * another task, and those stand out. */
#define CHUNK 100

volatile int sink;
const char *volatile text = "/usr/share/doc/perfpipe/README.md";

/* Without optimization it begins by pushing the frame pointer, as most functions do:
 * the kernel emulates that instruction, where others are run in single steps. */
__attribute__((noinline, noclone, optimize("O0")))
int hit(int id, int n, const char *path)
{
	sink = id + n + path[0];
	return sink;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	cpu_set_t set;
	long chunks, i;
	double *took, begin;

	if (argc != 3 || (chunks = atol(argv[2]) / CHUNK) < 1) {
		fprintf(stderr, "usage: hit CPU CALLS, at least %d\n", CHUNK);
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[1]), &set);
	took = malloc(chunks * sizeof *took);
	if (!took || sched_setaffinity(0, sizeof set, &set)) {
		perror("hit");
		return 1;
	}
	begin = now();
	for (i = 0; i < chunks; i++) {
		double at = now();

		for (int j = 0; j < CHUNK; j++)
			hit(j, (int)i, text);
		took[i] = (now() - at) / CHUNK;
	}
	begin = (now() - begin) / CHUNK / chunks;
	qsort(took, chunks, sizeof *took, ascending);
	printf("{\"calls\": %ld, \"ns_per_call\": %.3f, \"mean_ns_per_call\": %.3f}\n", chunks * CHUNK, took[chunks / 2], begin);
	return 0;
}
