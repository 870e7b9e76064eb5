/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/seal-forger.h"
#include "test/seal-rig.h"

#define HOUR_NS (INT64_C(3600) * 1000000000)

static int set_up(void **state)
{
	static struct seal_rig rig;

	seal_rig_init(&rig);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	seal_rig_deinit(*state);
	return 0;
}

/* Opens @blob with @o, whatever its age. */
static int open_it(struct opener *o, const struct sealed *blob, struct opened *ret)
{
	static uint8_t room[SESSION_KEYS_MAX_BYTES];

	return opener_record(o, bytes_of(blob->p, blob->n), NULL, RIG_NOW_NS, SEAL_AGE_ANY, room,
			     ret);
}

static void test_opens_as_sealed(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 7, 16, 255, 256};
	struct seal_rig *g = *state;
	static uint8_t room[SEAL_BATCH_MAX][SESSION_KEYS_MAX_BYTES], out[SESSION_KEYS_MAX_BYTES];
	static struct sealed blobs[SEAL_BATCH_MAX];
	static struct session_index indexes[SEAL_BATCH_MAX];
	static struct bytes keys[SEAL_BATCH_MAX];
	struct opened opened;
	uint64_t number = 0;

	seal_rig_epoch(g->sealer, g->opener);
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		size_t n = sizes[k];
		for (size_t i = 0; i < n; i++)
			keys[i] = bytes_of(room[i],
					   seal_rig_keys(i % 2 ? "10.9.0.1:443" : "[fd00::1]:22",
							 (unsigned)i, room[i]));
		assert_int_equal(sealer_batch(g->sealer, RIG_NOW_NS, keys, n, blobs, indexes), 0);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(opener_record(g->opener, bytes_of(blobs[i].p, blobs[i].n),
						       &indexes[i], RIG_NOW_NS, 0, out, &opened),
					 SEAL_OK);
			assert_memory_equal(out, keys[i].p, keys[i].n);
			assert_string_equal(opened.origin, "web1");
			assert_int_equal(opened.index.number, number++);
			assert_int_equal(opened.keys.tls.suite, 0x1302);
			sealed_free(&blobs[i]);
		}
	}
}

static void test_each_truncation(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index;
	struct opened opened;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;

	assert_int_equal(sealer_epoch(g->sealer, RIG_NOW_NS, id, &epoch), 0);
	for (size_t n = 0; n < epoch.n; n++)
		assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, n), RIG_NOW_NS, id),
				 SEAL_TRUNCATED);
	assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id),
			 SEAL_OK);
	struct sealed blob = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	for (size_t n = 0; n < blob.n; n++)
		assert_int_equal(open_it(g->opener, &(struct sealed){blob.p, n}, &opened),
				 SEAL_TRUNCATED);
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_OK);
	sealed_free(&epoch);
	sealed_free(&blob);
}

static void test_each_bit_of_a_record(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index;
	struct opened opened;

	seal_rig_epoch(g->sealer, g->opener);
	struct sealed blob = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	for (size_t i = 0; i < blob.n * 8; i++) {
		blob.p[i / 8] ^= (uint8_t)(1 << i % 8);
		int r = open_it(g->opener, &blob, &opened);
		assert_true(r == SEAL_TRUNCATED || r == SEAL_MALFORMED || r == SEAL_FORGED ||
			    r == SEAL_UNKNOWN_EPOCH);
		blob.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_OK);
	sealed_free(&blob);
}

static struct forger forger_now(const struct identity *origin)
{
	return forger_of(origin, RIG_NOW_NS);
}

static int tell_epoch(struct seal_rig *g, struct forger *f, const struct identity *signer,
		      int64_t now_ns)
{
	struct secret signed_data = forger_sign_epoch(f, signer);
	struct sealed blob = forger_seal_to(g->recovery, secret_view(&signed_data));
	uint8_t id[EPOCH_ID_BYTES];

	int r = opener_epoch(g->opener, bytes_of(blob.p, blob.n), now_ns, id);
	if (r == SEAL_OK)
		assert_memory_equal(id, f->id, sizeof id);
	secret_free(&signed_data);
	sealed_free(&blob);
	return r;
}

static struct record_content content_of(const struct forger *f, struct bytes keys)
{
	return forger_record(f, RIG_NOW_NS, keys);
}

/* Signs @c as it is now, and seals it. */
static struct sealed forge(const struct forger *f, struct record_content *c)
{
	uint8_t room[SEAL_RECORD_MAX_BYTES];
	struct secret signature = forger_sign(f, c);
	struct sealed blob = forger_seal(f, bytes_of(room, forger_write(c, room)));

	secret_free(&signature);
	return blob;
}

static int open_forged(struct seal_rig *g, const struct forger *f, struct record_content *c)
{
	struct opened opened;
	struct sealed blob = forge(f, c);
	int r = open_it(g->opener, &blob, &opened);

	sealed_free(&blob);
	return r;
}

static struct bytes some_keys(const char *server)
{
	static uint8_t room[SESSION_KEYS_MAX_BYTES];

	return bytes_of(room, seal_rig_keys(server, 1, room));
}

/* What the forger does right is taken, so what is refused below is refused for what is wrong. */
static void test_forger_done_right(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.1:443"));

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	assert_int_equal(open_forged(g, &f, &c), SEAL_OK);
}

static void test_forged_signatures(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.1:443"));

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	f.signer = g->web2;
	assert_int_equal(open_forged(g, &f, &c), SEAL_FORGED);
	f = forger_now(g->web1);
	f.flip_root = 1;
	assert_int_equal(open_forged(g, &f, &c), SEAL_FORGED);
	f = forger_now(g->web1);
	f.root_epoch[0] ^= 1; /* signed for another epoch */
	assert_int_equal(open_forged(g, &f, &c), SEAL_FORGED);
	f = forger_now(g->web1);
	c.epoch[0] ^= 1; /* in the record, the envelope names ours */
	assert_int_equal(open_forged(g, &f, &c), SEAL_FORGED);
}

/* The signature of one batch does not carry over to a record of another, nor does a path. */
static void test_proof_of_another(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.1:443")), read;
	struct secret plain;
	struct opened opened;
	struct bytes leaf;
	uint8_t room[SEAL_RECORD_MAX_BYTES];

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	c.path.depth = 1;
	c.path.step[0].left = true;
	struct sealed blob = forge(&f, &c);
	assert_int_equal(cms_open_by_kek(bytes_of(blob.p, blob.n), f.kek, &plain), SEAL_OK);
	assert_true(record_content_read(secret_view(&plain), &read, &leaf));
	sealed_free(&blob);
	for (int what = 0; what < 4; what++) {
		struct record_content other = read;

		other.number += what == 1;
		other.path.step[0].left ^= what == 2;
		other.path.step[0].hash[31] ^= what == 3;
		blob = forger_seal(&f, bytes_of(room, forger_write(&other, room)));
		assert_int_equal(open_it(g->opener, &blob, &opened), what ? SEAL_FORGED : SEAL_OK);
		sealed_free(&blob);
	}
	secret_free(&plain);
}

static void test_what_is_no_record(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct bytes keys = some_keys("10.9.0.1:443");
	struct record_content c = content_of(&f, keys);

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	c.number = SEAL_EPOCH_RECORDS;
	assert_int_equal(open_forged(g, &f, &c), SEAL_MALFORMED);
	c = content_of(&f, bytes_head(keys, keys.n - 1));
	assert_int_equal(open_forged(g, &f, &c), SEAL_MALFORMED);
	c = content_of(&f, keys);
	c.time_ns = -1;
	assert_int_equal(open_forged(g, &f, &c), SEAL_MALFORMED);
	c = content_of(&f, keys);
	memcpy(c.origin, "../web", 7);
	assert_int_equal(open_forged(g, &f, &c), SEAL_MALFORMED);
}

static void test_who_may_begin_an_epoch(void **state)
{
	struct seal_rig *g = *state;
	struct issuer other = seal_rig_ca();
	struct identity *stranger = seal_rig_identity(&other, IDENTITY_ORIGIN, "web1",
						      (const char *const[]){"10.9.0.1", NULL}, 365);
	struct identity *old = seal_rig_identity(&g->ca, IDENTITY_ORIGIN, "web1",
						 (const char *const[]){"10.9.0.1", NULL}, 29);
	struct forger f = forger_now(g->web1);

	assert_int_equal(tell_epoch(g, &f, stranger, RIG_NOW_NS), SEAL_STRANGER);
	assert_int_equal(tell_epoch(g, &f, g->vault, RIG_NOW_NS), SEAL_NOT_AN_ORIGIN);
	assert_int_equal(tell_epoch(g, &f, g->recovery2, RIG_NOW_NS), SEAL_NOT_AN_ORIGIN);
	assert_int_equal(tell_epoch(g, &f, old, RIG_NOW_NS), SEAL_EXPIRED);
	/* web2 in the name of web1 */
	assert_int_equal(tell_epoch(g, &f, g->web2, RIG_NOW_NS), SEAL_FOREIGN_ORIGIN);
	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS - SEAL_CLOCK_SKEW_NS - 1),
			 SEAL_FUTURE);
	f.epoch.not_after_ns = RIG_NOW_NS + 400 * RIG_DAY_NS;
	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_EXPIRED);
	f.epoch.not_after_ns = RIG_NOW_NS - 1;
	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_MALFORMED);
	identity_close(stranger);
	identity_close(old);
	seal_rig_issuer_free(&other);
}

static void test_revoked(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index;
	struct opened opened;
	struct forger f = forger_now(g->web1);

	seal_rig_epoch(g->sealer, g->opener);
	struct sealed before = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	assert_int_equal(open_it(g->opener, &before, &opened), SEAL_OK);
	seal_rig_revoke(g, g->web1);
	/* What was opened already, and a new epoch */
	assert_int_equal(open_it(g->opener, &before, &opened), SEAL_REVOKED);
	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_REVOKED);
	/* Nobody else is. */
	f = forger_now(g->web2);
	struct record_content c = content_of(&f, some_keys("10.9.0.2:443"));
	assert_int_equal(tell_epoch(g, &f, g->web2, RIG_NOW_NS), SEAL_OK);
	assert_int_equal(open_forged(g, &f, &c), SEAL_OK);
	sealed_free(&before);
}

static void test_names_and_addresses(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.2:443"));
	struct session_index index;

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	assert_int_equal(open_forged(g, &f, &c), SEAL_FOREIGN_ADDRESS);
	c = content_of(&f, some_keys("[fd00::2]:443"));
	assert_int_equal(open_forged(g, &f, &c), SEAL_FOREIGN_ADDRESS);
	c = content_of(&f, some_keys("10.9.0.1:443"));
	memcpy(c.origin, "web2", 5);
	assert_int_equal(open_forged(g, &f, &c), SEAL_FOREIGN_ORIGIN);
	/* An honest sealer does not seal it. */
	assert_int_equal(sealer_check(g->sealer, some_keys("10.9.0.2:443"), &index),
			 SEAL_FOREIGN_ADDRESS);
	assert_int_equal(sealer_check(g->sealer, bytes_str("no keys"), &index), SEAL_MALFORMED);
	assert_int_equal(sealer_check(g->sealer, some_keys("[fd00::1]:443"), &index), SEAL_OK);
}

static int open_aged(struct seal_rig *g, const struct sealed *blob, int64_t now_ns, int64_t age_ns)
{
	static uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct opened opened;

	return opener_record(g->opener, bytes_of(blob->p, blob->n), NULL, now_ns, age_ns, room,
			     &opened);
}

static void test_times(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.1:443"));

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	struct sealed blob = forge(&f, &c);
	assert_int_equal(open_aged(g, &blob, RIG_NOW_NS + HOUR_NS, HOUR_NS), SEAL_OK);
	assert_int_equal(open_aged(g, &blob, RIG_NOW_NS + HOUR_NS + 1, HOUR_NS), SEAL_STALE);
	assert_int_equal(open_aged(g, &blob, RIG_NOW_NS - SEAL_CLOCK_SKEW_NS, 0), SEAL_OK);
	assert_int_equal(open_aged(g, &blob, RIG_NOW_NS - SEAL_CLOCK_SKEW_NS - 1, 0), SEAL_FUTURE);
	/* The certificate has expired since. */
	assert_int_equal(open_aged(g, &blob, RIG_NOW_NS + 4000 * RIG_DAY_NS, SEAL_AGE_ANY),
			 SEAL_OK);
	sealed_free(&blob);
	c.time_ns = f.epoch.not_before_ns - 1;
	assert_int_equal(open_forged(g, &f, &c), SEAL_EXPIRED);
	c.time_ns = f.epoch.not_after_ns + 1;
	assert_int_equal(open_forged(g, &f, &c), SEAL_EXPIRED);
}

static void test_replayed(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.1:443"));

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	assert_int_equal(open_forged(g, &f, &c), SEAL_OK);
	/* The same again: the vault was asked twice. Sealed anew it is still the same. */
	assert_int_equal(open_forged(g, &f, &c), SEAL_OK);
	c.time_ns++;
	assert_int_equal(open_forged(g, &f, &c), SEAL_REPLAYED);
	c.number++;
	assert_int_equal(open_forged(g, &f, &c), SEAL_OK);
	/* An epoch of the same id with another KEK */
	f.kek[0] ^= 1;
	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_REPLAYED);
}

static int open_expecting(struct seal_rig *g, const struct sealed *blob,
			  const struct session_index *expected)
{
	uint8_t room[SESSION_KEYS_MAX_BYTES], zero[SESSION_KEYS_MAX_BYTES] = {0};
	struct opened opened;

	memset(room, 0xff, sizeof room);
	int r = opener_record(g->opener, bytes_of(blob->p, blob->n), expected, RIG_NOW_NS, 0, room,
			      &opened);
	if (r != SEAL_OK)
		assert_memory_equal(room, zero, sizeof room);
	return r;
}

static void test_other_session(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index, other;

	seal_rig_epoch(g->sealer, g->opener);
	struct sealed blob = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	assert_int_equal(open_expecting(g, &blob, &index), SEAL_OK);
	for (int what = 0; what < 7; what++) {
		other = index;
		other.protocol = what == 0 ? KEYS_SSH : index.protocol;
		other.server.port ^= what == 1;
		other.client.addr.b[3] ^= what == 2;
		other.id[31] ^= what == 3;
		other.epoch[0] ^= what == 4;
		other.number += what == 5;
		other.time_ns += what == 6;
		assert_int_equal(open_expecting(g, &blob, &other), SEAL_OTHER_SESSION);
	}
	sealed_free(&blob);
}

static void test_for_whom(void **state)
{
	struct seal_rig *g = *state;
	struct sealer *other = seal_rig_sealer(g->web1, g->recovery2), *both = NULL;
	STACK_OF(X509) *to = sk_X509_new_null();
	struct opener *first = NULL;
	uint8_t id[EPOCH_ID_BYTES];
	struct session_index index;
	struct opened opened;
	struct sealed epoch;

	assert_int_equal(sealer_epoch(other, RIG_NOW_NS, id, &epoch), 0);
	struct sealed blob = seal_rig_record(other, "10.9.0.1:443", 1, &index);
	assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id),
			 SEAL_NOT_FOR_US);
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_UNKNOWN_EPOCH);
	/* Rotation: the identity from before is one of ours as well. */
	assert_int_equal(opener_add_identity(g->opener, g->recovery2), 0);
	assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id),
			 SEAL_OK);
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_OK);
	opener_forget_epoch(g->opener, id);
	assert_false(opener_has_epoch(g->opener, id));
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_UNKNOWN_EPOCH);
	sealed_free(&epoch);
	sealed_free(&blob);
	/* And who is sealed to among others opens it. */
	assert_true(sk_X509_push(to, identity_certificate(g->recovery2)) > 0);
	assert_true(sk_X509_push(to, identity_certificate(g->recovery)) > 0);
	assert_int_equal(sealer_new(g->web1, to, &both), 0);
	assert_int_equal(opener_new(g->trust, &first), 0);
	assert_int_equal(opener_add_identity(first, g->recovery), 0);
	seal_rig_epoch(both, first);
	opener_free(first);
	sealer_free(other);
	sealer_free(both);
	sk_X509_free(to);
}

static void test_an_epoch_for_an_identity_of_another_key(void **state)
{
	struct seal_rig *g = *state;
	struct identity *confused = NULL;
	struct opener *o = NULL;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;

	/* The certificate that is sealed to, with another key than its own. */
	assert_int_equal(identity_new(identity_certificate(g->recovery), identity_key(g->recovery2),
				      &confused),
			 0);
	assert_int_equal(opener_new(g->trust, &o), 0);
	assert_int_equal(opener_add_identity(o, confused), 0);
	assert_int_equal(sealer_epoch(g->sealer, RIG_NOW_NS, id, &epoch), 0);
	assert_int_equal(opener_epoch(o, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id), SEAL_FORGED);
	sealed_free(&epoch);
	opener_free(o);
	identity_close(confused);
}

/* Each bit of an epoch: it is refused, or what comes of it is the same. */
static void test_bits_of_an_epoch(void **state)
{
	struct seal_rig *g = *state;
	uint8_t id[EPOCH_ID_BYTES], again[EPOCH_ID_BYTES];
	struct sealed epoch;

	assert_int_equal(sealer_epoch(g->sealer, RIG_NOW_NS, id, &epoch), 0);
	for (size_t i = 0; i < epoch.n; i++) {
		epoch.p[i] ^= (uint8_t)(1 << i % 8);
		int r = opener_epoch(g->opener, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, again);
		assert_true(r == SEAL_TRUNCATED || r == SEAL_MALFORMED || r == SEAL_FORGED ||
			    r == SEAL_NOT_FOR_US ||
			    (r == SEAL_OK && memcmp(id, again, sizeof id) == 0));
		epoch.p[i] ^= (uint8_t)(1 << i % 8);
	}
	sealed_free(&epoch);
}

/* The tag cut to @tag bytes, all lengths right: an AuthEnvelopedData as good as any to RFC 5084. */
static void shorten_tag(struct sealed *blob, uint8_t tag)
{
	/* ContentInfo, [0] behind its type, AuthEnvelopedData: lengths of two bytes at each */
	static const size_t lengths[] = {2, 19, 23};
	uint8_t cut = (uint8_t)(16 - tag);

	for (size_t i = 0; i < 3; i++) {
		uint8_t *p = blob->p + lengths[i];
		uint16_t n = (uint16_t)((p[0] << 8 | p[1]) - cut);
		p[0] = (uint8_t)(n >> 8);
		p[1] = (uint8_t)n;
	}
	assert_int_equal(blob->p[blob->n - 17], 16);
	blob->p[blob->n - 17] = tag;
	blob->n -= cut;
}

static void test_short_tag(void **state)
{
	struct seal_rig *g = *state;
	struct forger f = forger_now(g->web1);
	struct record_content c = content_of(&f, some_keys("10.9.0.1:443"));
	struct opened opened;
	struct secret plain;

	assert_int_equal(tell_epoch(g, &f, g->web1, RIG_NOW_NS), SEAL_OK);
	struct sealed blob = forge(&f, &c);
	shorten_tag(&blob, 4);
	/* OpenSSL would open it: a tag of four bytes can be guessed. */
	assert_int_equal(cms_open_by_kek(bytes_of(blob.p, blob.n), f.kek, &plain), SEAL_OK);
	secret_free(&plain);
	assert_int_equal(open_it(g->opener, &blob, &opened), SEAL_MALFORMED);
	sealed_free(&blob);
}

static void test_more_than_a_record(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index;
	struct opened opened;
	uint8_t room[SEAL_EPOCH_MAX_BYTES + 8] = {0x30, 0x82, 0x40, 0x01}, id[EPOCH_ID_BYTES];
	struct sealed all = {room, 0};

	seal_rig_epoch(g->sealer, g->opener);
	struct sealed blob = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	assert_int_equal(seal_epoch_of(bytes_of(blob.p, blob.n), id), SEAL_OK);
	assert_memory_equal(id, index.epoch, sizeof id);
	assert_int_equal(opener_epoch(g->opener, bytes_of(room, sizeof room), RIG_NOW_NS, id),
			 SEAL_MALFORMED);
	memcpy(room, blob.p, blob.n);
	room[blob.n] = 0;
	all.n = blob.n + 1;
	assert_int_equal(open_it(g->opener, &all, &opened), SEAL_MALFORMED);
	all.n = SEAL_RECORD_MAX_BYTES + 1;
	assert_int_equal(open_it(g->opener, &all, &opened), SEAL_MALFORMED);
	/* One for the other */
	assert_int_equal(opener_epoch(g->opener, bytes_of(blob.p, blob.n), RIG_NOW_NS, id),
			 SEAL_MALFORMED);
	sealed_free(&blob);
}

static void test_when_an_epoch_is_due(void **state)
{
	struct seal_rig *g = *state;
	struct bytes keys = some_keys("10.9.0.1:443");
	struct session_index index;
	struct sealed blob;

	assert_true(sealer_epoch_due(g->sealer, RIG_NOW_NS, 1));
	assert_int_equal(sealer_batch(g->sealer, RIG_NOW_NS, &keys, 1, &blob, &index),
			 SEAL_EPOCH_DUE);
	seal_rig_epoch(g->sealer, g->opener);
	assert_false(sealer_epoch_due(g->sealer, RIG_NOW_NS, SEAL_EPOCH_RECORDS));
	assert_true(sealer_epoch_due(g->sealer, RIG_NOW_NS, SEAL_EPOCH_RECORDS + 1));
	assert_true(sealer_epoch_due(g->sealer, RIG_NOW_NS - 1, 1)); /* the clock was set back */
	assert_false(sealer_epoch_due(g->sealer, RIG_NOW_NS + SEAL_EPOCH_DEFAULT_NS, 1));
	assert_true(sealer_epoch_due(g->sealer, RIG_NOW_NS + SEAL_EPOCH_DEFAULT_NS + 1, 1));
	assert_int_equal(sealer_batch(g->sealer, RIG_NOW_NS, &keys, 0, &blob, &index), -EINVAL);
	assert_int_equal(
		sealer_batch(g->sealer, RIG_NOW_NS, &keys, SEAL_BATCH_MAX + 1, &blob, &index),
		-EINVAL);
}

static void test_epochs_end_with_the_certificate(void **state)
{
	struct seal_rig *g = *state;
	/* 30 days are over, and 30 minutes before the 31st are left of it. */
	int64_t now = RIG_NOW_NS + RIG_DAY_NS - HOUR_NS / 2;
	struct identity *last = seal_rig_identity(&g->ca, IDENTITY_ORIGIN, "web1",
						  (const char *const[]){"10.9.0.1", NULL}, 31);
	struct sealer *s = seal_rig_sealer(last, g->recovery);
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;

	assert_int_equal(sealer_epoch(s, now, id, &epoch), 0);
	assert_int_equal(opener_epoch(g->opener, bytes_of(epoch.p, epoch.n), now, id), SEAL_OK);
	assert_true(sealer_epoch_due(s, now + HOUR_NS / 2, 1));
	sealed_free(&epoch);
	assert_int_equal(sealer_epoch(s, now + HOUR_NS / 2, id, &epoch), SEAL_EXPIRED);
	sealer_free(s);
	identity_close(last);
}

static void test_who_may_seal(void **state)
{
	struct seal_rig *g = *state;
	STACK_OF(X509) *to = sk_X509_new_null();
	struct sealer *s;

	assert_int_equal(sealer_new(g->web1, to, &s), -EINVAL);
	assert_true(sk_X509_push(to, identity_certificate(g->recovery)) > 0);
	assert_int_equal(sealer_new(g->vault, to, &s), -EINVAL);
	for (int i = 0; i < SEAL_RECIPIENTS_MAX; i++)
		assert_true(sk_X509_push(to, identity_certificate(g->recovery)) > 0);
	assert_int_equal(sealer_new(g->web1, to, &s), -EINVAL);
	sk_X509_free(to);
}

static void test_two_origins(void **state)
{
	struct seal_rig *g = *state;
	struct sealer *web2 = seal_rig_sealer(g->web2, g->recovery);
	struct session_index index;
	struct opened opened;

	seal_rig_epoch(g->sealer, g->opener);
	seal_rig_epoch(web2, g->opener);
	struct sealed one = seal_rig_record(g->sealer, "10.9.0.1:443", 1, &index);
	struct sealed two = seal_rig_record(web2, "10.9.0.2:443", 1, &index);
	assert_int_equal(open_it(g->opener, &one, &opened), SEAL_OK);
	assert_string_equal(opened.origin, "web1");
	assert_int_equal(open_it(g->opener, &two, &opened), SEAL_OK);
	assert_string_equal(opened.origin, "web2");
	/* One origin's record under the other's epoch: the id in the envelope is put in its place.
	 */
	for (size_t i = 0; i + EPOCH_ID_BYTES < one.n; i++) {
		uint8_t id[EPOCH_ID_BYTES];
		assert_int_equal(seal_epoch_of(bytes_of(one.p, one.n), id), SEAL_OK);
		if (memcmp(one.p + i, id, sizeof id) == 0) {
			memcpy(one.p + i, index.epoch, sizeof id);
			break;
		}
	}
	assert_int_equal(open_it(g->opener, &one, &opened), SEAL_FORGED);
	/* The same nonce is another epoch of another origin. */
	struct forger a = forger_now(g->web1), b = forger_now(g->web2);
	assert_memory_equal(a.epoch.nonce, b.epoch.nonce, EPOCH_ID_BYTES);
	assert_memory_not_equal(a.id, b.id, EPOCH_ID_BYTES);
	sealed_free(&one);
	sealed_free(&two);
	sealer_free(web2);
}

static void test_each_reason_has_a_name(void **state)
{
	for (int i = 0; i < SEAL_REASONS; i++) {
		assert_non_null(seal_reason_name(i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(seal_reason_name(i), seal_reason_name(k));
	}
	assert_string_equal(seal_reason_name(-1), "error");
	assert_string_equal(seal_reason_name(SEAL_REASONS), "error");
}

static void test_index_as_written(void **state)
{
	struct seal_rig *g = *state;
	struct session_index index, again;
	uint8_t room[SESSION_INDEX_MAX_BYTES];

	seal_rig_epoch(g->sealer, g->opener);
	for (int v6 = 0; v6 < 2; v6++) {
		struct sealed blob = seal_rig_record(
			g->sealer, v6 ? "[fd00::1]:443" : "10.9.0.1:443", 1, &index);
		struct writer w = WRITER_IN(room);
		session_index_write(&w, &index);
		assert_true(writer_ok(&w));
		for (size_t n = 0; n < writer_pos(&w); n++) {
			struct reader r = reader_init(bytes_of(room, n));
			assert_false(session_index_read(&r, &again));
		}
		struct reader r = reader_init(writer_view(&w));
		assert_true(session_index_read(&r, &again));
		assert_int_equal(reader_left(&r), 0);
		assert_true(session_index_eq(&index, &again));
		room[1] = 9;
		r = reader_init(writer_view(&w));
		assert_false(session_index_read(&r, &again));
		sealed_free(&blob);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opens_as_sealed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_truncation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_bit_of_a_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forger_done_right, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forged_signatures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_proof_of_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_may_begin_an_epoch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_and_addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replayed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_for_whom, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_epoch_for_an_identity_of_another_key,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bits_of_an_epoch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short_tag, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_a_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_when_an_epoch_is_due, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_epochs_end_with_the_certificate, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_who_may_seal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_origins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_reason_has_a_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_index_as_written, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
