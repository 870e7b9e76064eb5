/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-recording.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jeebs/recovery-module.h"
#include "recovery-modules/harness/test/conversation.h"

static void load(struct buf *b, const char *folder, const char *kind, const char *name)
{
	char path[512];
	uint8_t piece[4096];
	size_t n;

	snprintf(path, sizeof path, "%s/%s/%s", folder, kind, name);
	FILE *f = fopen(path, "rb");

	if (!f)
		fail_msg("no %s", path);
	*b = BUF_INIT(1 << 22);
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		assert_int_equal(buf_append(b, piece, n), 0);
	fclose(f);
}

static uint32_t dir_of(uint8_t kind)
{
	return kind == 'S' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT;
}

void ssh_recording_load(struct ssh_recording *r, const char *folder, const char *name)
{
	struct conversation_record c;

	*r = (struct ssh_recording){.name = name};
	load(&r->file, folder, "conversations", name);
	load(&r->keys, folder, "keys", name);
	for (int i = 0; i < 2; i++)
		r->all[i] = BUF_INIT(1 << 22);
	struct reader it = reader_init(buf_view(&r->file));

	while (conversation_next(&it, &c))
		if (c.kind == 'S' || c.kind == 'C')
			assert_int_equal(buf_bytes(&r->all[dir_of(c.kind)], c.b), 0);
}

void ssh_recording_free(struct ssh_recording *r)
{
	buf_deinit(&r->file);
	buf_deinit(&r->keys);
	for (int i = 0; i < 2; i++)
		buf_deinit(&r->all[i]);
}

size_t ssh_recording_names(const char *folder, char **ret, size_t max)
{
	char path[512];
	const struct dirent *e;
	size_t n = 0;

	snprintf(path, sizeof path, "%s/conversations", folder);
	DIR *d = opendir(path);

	if (!d)
		fail_msg("no %s", path);
	while ((e = readdir(d)) && n < max)
		if (e->d_name[0] != '.')
			ret[n++] = strdup(e->d_name);
	closedir(d);
	return n;
}

void ssh_recording_play(const struct ssh_recording *r, size_t chunk,
			size_t (*take)(void *ctx, uint32_t dir, uint64_t off, struct bytes b),
			void *ctx)
{
	struct reader it = reader_init(buf_view(&r->file));
	size_t used[2] = {0}, there[2] = {0};
	struct conversation_record c;

	while (conversation_next(&it, &c)) {
		if (c.kind != 'S' && c.kind != 'C')
			continue;
		uint32_t dir = dir_of(c.kind);
		size_t to = there[dir] + c.b.n;

		while (there[dir] < to) {
			there[dir] = to - there[dir] < chunk ? to : there[dir] + chunk;
			used[dir] +=
				take(ctx, dir, used[dir],
				     bytes_of(r->all[dir].p + used[dir], there[dir] - used[dir]));
		}
	}
}
