/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A recording from hostile bytes, and hostile bytes asked of it. Records as in
 * test-conversation.h, and 'Q': what is asked on the control connection (0) or
 * a data connection.
 */
#include "base/buf.h"
#include "ftp-oracle.h"
#include "test-conversation.h"

#include <stdlib.h>

#define FLOWS 4

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

static void demand(bool ok)
{
	if (!ok)
		abort();
}

/* What it answers must be in order, however it is asked. */
static void ask(void *connection, void **data, const struct conversation_record *c)
{
	struct buf answer = BUF_INIT(1u << 22);
	uint32_t state = JEEBS_ORACLE_OPEN;
	struct jeebs_bytes none = {0};
	void *to = connection;

	if (c->connection && !*data && c->b.n >= 2)
		*data = ftp_oracle.connect_related(connection,
						   (uint16_t)(c->b.p[0] << 8 | c->b.p[1]));
	if (c->connection && !(to = *data))
		return;
	demand(ftp_oracle.receive(to, (struct jeebs_bytes){c->b.p, c->b.n}, c->b.n == 0, take,
				  &answer, &state) <= 0);
	for (int i = 0; i < 3 && state == JEEBS_ORACLE_OPEN; i++) {
		demand(ftp_oracle.receive(connection, none, 0, take, &answer, &state) <= 0);
		if (*data)
			demand(ftp_oracle.receive(*data, none, 0, take, &answer, &state) <= 0);
	}
	demand(state <= JEEBS_ORACLE_UNKNOWN);
	buf_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size)), questions = r;
	struct jeebs_expect ports[FLOWS] = {{0}};
	struct jeebs_cut cut = {0};
	struct conversation_record c;
	uint64_t end[2] = {0, 0}, unasked;
	void *o = ftp_oracle.open(NULL), *connection, *end_of_data = NULL;

	demand(o != NULL);
	while (conversation_next(&r, &c)) {
		unsigned i = c.connection % FLOWS;
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'P' && c.b.n == 4) {
			ports[i].server_port = (uint16_t)(c.b.p[0] << 8 | c.b.p[1]);
			ports[i].client_port = (uint16_t)(c.b.p[2] << 8 | c.b.p[3]);
		} else if (c.kind == 'K' && c.b.n == 2) {
			cut.to_client_end = (uint64_t)(c.b.p[0] << 8 | c.b.p[1]);
		} else if (i > 0 && memchr("SCEF", c.kind, 4)) {
			demand(ftp_oracle.related(o, &ports[i], dir,
						  (struct jeebs_bytes){c.b.p, c.b.n},
						  c.kind == 'E' || c.kind == 'F') == 0);
		} else if (c.kind == 'S' || c.kind == 'C') {
			demand(ftp_oracle.data(o, dir, end[dir],
					       (struct jeebs_bytes){c.b.p, c.b.n}) == 0);
			end[dir] += c.b.n;
		} else if (c.kind == 'g') {
			end[0] += 5;
			demand(ftp_oracle.gap(o, 0, end[0] - 5, end[0]) == 0);
		}
	}
	demand(ftp_oracle.learned(o, &unasked) == 0);
	connection = ftp_oracle.connect(o, &cut);
	demand(connection != NULL);
	while (conversation_next(&questions, &c)) {
		if (c.kind == 'Q')
			ask(connection, &end_of_data, &c);
	}
	if (end_of_data)
		ftp_oracle.disconnect(end_of_data);
	ftp_oracle.disconnect(connection);
	ftp_oracle.close(o);
	return 0;
}
