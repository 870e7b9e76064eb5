/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations that fuzz-dry-run damaged at random. Once, the drill called a cut of each of them
 * wrong.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define FILE_MAX (1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay(const char *name)
{
	static uint8_t content[FILE_MAX];
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", DAMAGED, name);
	FILE *f = fopen(path, "rbe");
	if (!f) {
		perror(path);
		abort();
	}
	size_t n = fread(content, 1, sizeof content, f);
	fclose(f);
	printf("%s\n", name); /* the last name printed is of the one that fails */
	fflush(stdout);
	LLVMFuzzerTestOneInput(content, n);
}

int main(void)
{
	DIR *d = opendir(DAMAGED);
	const struct dirent *e;
	int count = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		replay(e->d_name);
		count++;
	}
	if (d)
		closedir(d);
	return count > 0 ? 0 : 1;
}
