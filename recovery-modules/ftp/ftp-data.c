/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ftp-data.h"

#include "base/reader.h"
#include "base/writer.h"

#define VERSION 2u

#define FLAG_OLDER       0x01u
#define FLAG_DIGEST_LOST 0x02u
#define FLAG_LOG_LOST    0x04u
#define FLAG_KEPT        0x08u
#define FLAGS_ALL        0x0fu

static int data_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		     const struct jeebs_service *svc)
{
	struct ftp_data *s = state;

	s->flow = f;
	s->ops = ops;
	s->retain = svc->retain;
	s->can_upgrade = svc->upgrade != NULL;
	XXH64_reset(&s->digest, 0);
	return JEEBS_OK;
}

static void to_client(struct ftp_data *s, struct jeebs_bytes b)
{
	uint64_t end = s->end[JEEBS_TO_CLIENT];
	uint64_t from = end > FTP_DATA_TAIL_MAX ? end - FTP_DATA_TAIL_MAX : 0;

	if (!s->digest_lost)
		XXH64_update(&s->digest, b.p, b.n);
	s->ops->keep_from(s->flow, JEEBS_TO_CLIENT, from > s->solid ? from : s->solid);
}

/*
 * Keeps the client's bytes: all of them for an upload that is sent again, the newest for one that
 * is continued.
 */
static void to_server(struct ftp_data *s, uint64_t off)
{
	uint64_t end = s->end[JEEBS_TO_SERVER];

	if (end > s->retain && end - s->retain > s->held) {
		s->log_lost = true;
		s->held = end - s->retain;
	}
	if (s->log_lost) {
		s->ops->keep_from(s->flow, JEEBS_TO_SERVER, s->held);
	} else if (!s->kept) {
		s->kept = true;
		s->ops->keep_from(s->flow, JEEBS_TO_SERVER, off);
	}
}

/*
 * Whether the client's first bytes, shown up to here, are those of its first record of TLS (RFC
 * 8446 section 5.1), and the server has said nothing: the client of FTP is that of TLS (RFC 4217
 * section 7).
 */
static bool begins_tls(struct ftp_data *s, uint64_t off, struct jeebs_bytes b)
{
	static const struct {
		uint8_t least, most;
	} hello[] = {{22, 22}, {3, 3}, {0, 4}, {0, 0x48}, {0, 255}, {1, 1}};
	const size_t whole = sizeof hello / sizeof hello[0];

	if (!s->can_upgrade || s->older || s->end[JEEBS_TO_CLIENT] > 0 || off != s->hello_n)
		return false;
	for (size_t i = 0; i < b.n && s->hello_n < whole; i++, s->hello_n++)
		if (b.p[i] < hello[s->hello_n].least || b.p[i] > hello[s->hello_n].most)
			return false;
	return s->hello_n == whole;
}

static int data_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct ftp_data *s = state;

	(void)now_ns;
	s->end[dir] = off + b.n;
	if (dir == JEEBS_TO_SERVER && begins_tls(s, off, b) && s->ops->hand_over(s->flow, 0, 0))
		return JEEBS_HAND_OVER;
	if (dir == JEEBS_TO_CLIENT)
		to_client(s, b);
	else
		to_server(s, off);
	return JEEBS_OK;
}

static int data_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct ftp_data *s = state;

	if (from == to)
		s->older = true;
	s->end[dir] = to;
	if (dir == JEEBS_TO_CLIENT) {
		s->digest_lost = true;
		s->solid = to;
	} else {
		s->log_lost = true;
		s->held = to;
	}
	return JEEBS_OK;
}

static int data_fin(void *state, uint32_t dir, uint64_t off)
{
	/* the FIN is in the cut */
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}

/*
 * Version 2: u8 version, flags; u64 end of the client's bytes, end of the server's, solid, held;
 * without FLAG_DIGEST_LOST also the digest: u64 total_len, 4 x u64, total_len modulo 32 bytes.
 */
static size_t data_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	const struct ftp_data *s = state;
	struct writer w = writer_init(out, cap);

	writer_u8(&w, VERSION);
	writer_u8(&w, (s->older ? FLAG_OLDER : 0) | (s->digest_lost ? FLAG_DIGEST_LOST : 0) |
			      (s->log_lost ? FLAG_LOG_LOST : 0) | (s->kept ? FLAG_KEPT : 0));
	writer_u64be(&w, s->end[JEEBS_TO_SERVER]);
	writer_u64be(&w, s->end[JEEBS_TO_CLIENT]);
	writer_u64be(&w, s->solid);
	writer_u64be(&w, s->held);
	if (!s->digest_lost) {
		writer_u64be(&w, s->digest.total_len);
		for (int i = 0; i < 4; i++)
			writer_u64be(&w, s->digest.v[i]);
		writer_copy(&w, s->digest.mem64, s->digest.total_len % 32);
	}
	return writer_pos(&w);
}

static int data_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct ftp_data *s = state;
	struct reader r = reader_init(bytes_of(checkpoint.p, checkpoint.n));

	if (reader_u8(&r) != VERSION)
		return JEEBS_GIVE_UP;
	uint8_t flags = reader_u8(&r);
	s->older = flags & FLAG_OLDER;
	s->digest_lost = flags & FLAG_DIGEST_LOST;
	s->log_lost = flags & FLAG_LOG_LOST;
	s->kept = flags & FLAG_KEPT;
	s->end[JEEBS_TO_SERVER] = reader_u64be(&r);
	s->end[JEEBS_TO_CLIENT] = reader_u64be(&r);
	s->solid = reader_u64be(&r);
	s->held = reader_u64be(&r);
	if (!s->digest_lost) {
		s->digest.total_len = reader_u64be(&r);
		for (int i = 0; i < 4; i++)
			s->digest.v[i] = reader_u64be(&r);
		s->digest.memsize = (XXH32_hash_t)(s->digest.total_len % 32);
		reader_copy(&r, s->digest.mem64, s->digest.memsize);
	}
	if (!reader_ok(&r) || reader_left(&r) > 0 || flags & ~FLAGS_ALL ||
	    s->solid > s->end[JEEBS_TO_CLIENT] || s->held > s->end[JEEBS_TO_SERVER] ||
	    (!s->log_lost && s->held != 0) ||
	    (!s->digest_lost && (s->digest.total_len != s->end[JEEBS_TO_CLIENT] || s->solid != 0)))
		return JEEBS_GIVE_UP;
	return JEEBS_OK;
}

/* The plan of the control connection decides about this one. */
static void data_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	(void)state;
	(void)cut;
	*ret = (struct jeebs_plan){
		.verdict = JEEBS_REFUSE,
		.reason = "no-conversation",
		.detail = "it belongs to no conversation that is continued",
	};
}

static void data_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	(void)state;
	(void)cut;
	(void)b;
	if (event == JEEBS_EV_START)
		ops->abort(j, "no-conversation");
}

static void data_close(void *state)
{
	(void)state; /* the state owns nothing */
}

const struct jeebs_module ftp_data_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "ftp-data",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct ftp_data),
	.open = data_open,
	.data = data_data,
	.gap = data_gap,
	.fin = data_fin,
	.checkpoint = data_checkpoint,
	.restore = data_restore,
	.plan = data_plan,
	.resume = data_resume,
	.close = data_close,
	.upgrade = "tls:ftp-data",
};

JEEBS_MODULE_EXPORT(ftp_data_module);
