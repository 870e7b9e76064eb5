/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A counter server for the drill. It shares nothing with the module it judges. */
#include <errno.h>
#include <inttypes.h>
#include <jeebs/recovery-oracle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct connection {
	uint64_t total;
	char line[64];
	size_t n;
};

static void *oracle_open(const struct jeebs_service *svc)
{
	(void)svc;
	return calloc(1, 1);
}

/* This server's answers do not depend on what another server has said. */
static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	(void)oracle, (void)dir, (void)off, (void)b;
	return 0;
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	(void)oracle, (void)dir, (void)from, (void)to;
	return 0;
}

static int oracle_fin(void *oracle, uint32_t dir, uint64_t off)
{
	(void)oracle, (void)dir, (void)off;
	return 0;
}

static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	(void)oracle;
	*ret_unasked = UINT64_MAX;
	return 0;
}

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	(void)oracle, (void)cut;
	return calloc(1, sizeof(struct connection));
}

static size_t answer_to(struct connection *c, char out[static 64])
{
	uint64_t number;
	int end = 0;

	if (sscanf(c->line, "add %" SCNu64 "%n", &number, &end) != 1 || c->line[end] != 0)
		return (size_t)snprintf(out, 64, "?\n");
	c->total += number;
	return (size_t)snprintf(out, 64, "= %" PRIu64 "\n", c->total);
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct connection *c = connection;
	char out[64];
	int r = 0;

	for (size_t i = 0; i < b.n && r == 0; i++) {
		if (b.p[i] != '\n') {
			if (c->n < sizeof c->line - 1)
				c->line[c->n++] = (char)b.p[i];
			continue;
		}
		c->line[c->n] = 0;
		c->n = 0;
		size_t n = answer_to(c, out);
		r = answer(ctx, (struct jeebs_bytes){(const uint8_t *)out, n});
	}
	*ret_state = eof ? JEEBS_ORACLE_CLOSE : JEEBS_ORACLE_OPEN;
	return r;
}

static const struct jeebs_oracle counter_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "counter",
	.open = oracle_open,
	.data = oracle_data,
	.gap = oracle_gap,
	.fin = oracle_fin,
	.learned = oracle_learned,
	.connect = oracle_connect,
	.receive = oracle_receive,
	.disconnect = free,
	.close = free,
};

JEEBS_ORACLE_EXPORT(counter_oracle);
