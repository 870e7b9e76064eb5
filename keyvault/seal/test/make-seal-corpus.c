/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes the seeds of fuzz-opener into a directory: make-seal-corpus DIR. */
#include <stdio.h>

#include "base/demand.h"
#include "seal-fixed.h"

static void write_seed(const char *dir, const char *name, enum seal_input kind, struct bytes b)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	demand(f && fputc(kind, f) != EOF && fwrite(b.p, 1, b.n, f) == b.n && fclose(f) == 0);
}

/* A record with a path of @depth, as what is sealed and sealed. */
static void write_record(const char *dir, const struct seal_fixed *x, uint8_t depth, unsigned i)
{
	static uint8_t room[SEAL_RECORD_MAX_BYTES], keys[SESSION_KEYS_MAX_BYTES];
	size_t n = seal_rig_keys(i % 2 ? "[fd00::1]:443" : "10.9.0.1:443", i, keys);
	struct record_content c = forger_record(&x->forger, RIG_NOW_NS, bytes_of(keys, n));
	char name[32];

	c.number = i;
	c.path.depth = depth;
	for (uint8_t k = 0; k < depth; k++)
		c.path.step[k].left = k % 2;
	struct secret signature = forger_sign(&x->forger, &c);
	struct bytes content = bytes_of(room, forger_write(&c, room));
	struct sealed blob = forger_seal(&x->forger, content);
	snprintf(name, sizeof name, "content-%u", depth);
	write_seed(dir, name, SEAL_INPUT_CONTENT, content);
	snprintf(name, sizeof name, "record-%u", depth);
	write_seed(dir, name, SEAL_INPUT_RECORD, bytes_of(blob.p, blob.n));
	secret_free(&signature);
	sealed_free(&blob);
}

static void write_index(const char *dir)
{
	uint8_t room[SESSION_INDEX_MAX_BYTES];
	struct session_index i = {.protocol = KEYS_TLS, .number = 7, .time_ns = RIG_NOW_NS};
	struct writer w = WRITER_IN(room);

	demand(endpoint_parse("10.9.0.1:443", false, &i.server) == 0 &&
	       endpoint_parse("10.9.0.10:40000", false, &i.client) == 0);
	session_index_write(&w, &i);
	write_seed(dir, "index", SEAL_INPUT_INDEX, writer_view(&w));
}

int main(int argc, char **argv)
{
	struct seal_fixed x;

	demand(argc == 2);
	seal_fixed_init(&x);
	write_record(argv[1], &x, 0, 1);
	write_record(argv[1], &x, 2, 2);
	write_record(argv[1], &x, MERKLE_DEPTH_MAX, 3);
	struct secret epoch = forger_sign_epoch(&x.forger, x.origin);
	struct sealed blob = forger_seal_to(x.recovery, secret_view(&epoch));
	write_seed(argv[1], "signed-epoch", SEAL_INPUT_SIGNED_EPOCH, secret_view(&epoch));
	write_seed(argv[1], "epoch", SEAL_INPUT_EPOCH, bytes_of(blob.p, blob.n));
	write_index(argv[1]);
	secret_free(&epoch);
	sealed_free(&blob);
	return 0;
}
