/* Values behind several pointers, of which some lead nowhere. */
struct inner {
	int id;
	int arr[4];
	const char *s;
};
struct outer {
	int id;
	const char *name;
	struct inner *in;
	struct outer *next;
};

__attribute__((noipa)) int take(struct outer *r, const char *t) { return t && !r; }

int main(void)
{
	struct inner i = {11, {1, 2, 3, 4}, "inner"};
	struct outer a = {7, "alpha", &i, 0}, nulls = {8, 0, 0, 0}, bad = {9, (char *)16, (void *)16, (void *)16};
	a.next = &a;
	take(&a, "all");
	take(0, "NULL");
	take(&a, "all");
	take(&nulls, "NULL within");
	take(&a, "all");
	take((void *)8, "bad");
	take(&a, "all");
	take(&bad, "bad within");
	return 0;
}
