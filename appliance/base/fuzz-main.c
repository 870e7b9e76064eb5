/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Replays a corpus through LLVMFuzzerTestOneInput: each file of each folder named
 * on the command line, then mutations of it from a fixed seed, so that every test
 * run is the same. An empty or missing corpus is a failure, not a pass; so is one whose files do
 * not come to all that the fuzzer says they must (demand.h).
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "demand.h"

#define MUTATIONS_PER_FILE 200
#define FILE_MAX_BYTES     (1 << 20)
#define OUTCOMES_MAX       32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of the corpus itself, not of its mutations. */
static bool counts, came[OUTCOMES_MAX];

void fuzz_reached(const char *outcome)
{
	for (size_t i = 0; counts && fuzz_outcomes[i]; i++)
		came[i] |= strcmp(fuzz_outcomes[i], outcome) == 0;
}

static int missing(void)
{
	int n = 0;

	for (size_t i = 0; fuzz_outcomes[i]; i++)
		if (!came[i]) {
			fprintf(stderr, "no file of the corpus comes to: %s\n", fuzz_outcomes[i]);
			n++;
		}
	return n;
}

static uint64_t rng = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Each input gets an allocation of its exact size, so that ASan sees reads beyond it. */
static void run_copy(const uint8_t *p, size_t n)
{
	_cleanup_free_ uint8_t *copy = malloc(n ? n : 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
}

static void run_mutations(uint8_t *p, size_t n)
{
	for (int i = 0; i < MUTATIONS_PER_FILE && n > 0; i++) {
		_cleanup_free_ uint8_t *m = malloc(n);
		if (!m)
			abort();
		memcpy(m, p, n);
		for (uint64_t k = 1 + next_random() % 8; k > 0; k--)
			m[next_random() % n] = (uint8_t)next_random();
		run_copy(m, next_random() % 4 ? n : next_random() % n);
	}
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	_cleanup_free_ uint8_t *p = malloc(FILE_MAX_BYTES);

	if (!f || !p) {
		perror(path);
		if (f)
			fclose(f);
		return -1;
	}
	size_t n = fread(p, 1, FILE_MAX_BYTES, f);
	fclose(f);
	counts = true;
	run_copy(p, n);
	counts = false;
	run_mutations(p, n);
	return 0;
}

static int run_folder(const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	int count = 0;

	if (!d) {
		perror(folder);
		return -1;
	}
	while ((e = readdir(d))) {
		char path[4096];
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			if (run_file(path) < 0) {
				closedir(d);
				return -1;
			}
			count++;
		}
	}
	closedir(d);
	return count;
}

int main(int argc, char **argv)
{
	size_t outcomes = 0;
	int total = 0;

	while (fuzz_outcomes[outcomes])
		outcomes++;
	demand(outcomes > 0 && outcomes <= OUTCOMES_MAX);
	for (int i = 1; i < argc; i++) {
		int n = run_folder(argv[i]);
		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d corpus files, %d inputs\n", total, total * (1 + MUTATIONS_PER_FILE));
	return total > 0 && missing() == 0 ? 0 : 1;
}
