/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The module on conversations of stock OpenSSH, with keys that come as they were told, at the end,
 * or not at all; and what goes on when the server dies behind any byte of the server: with a backup
 * of this room's own (test/fake-sshd.c). Stock servers are in bench/netns/test-ssh-goes-on.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keyvault/crypto/session-crypto.h"
#include "recovery-modules/harness/test/conversation.h"
#include "recovery-modules/ssh/ssh.h"
#include "test/fake-sshd.h"
#include "test/ssh-recording.h"

#define NAMES_MAX 64

static struct ssh_identity identity;
static char *const restart[] = {"nothing", "echo said;*", NULL};
static char *const no_restart[] = {"echo", NULL};
static const struct jeebs_service service = {.port = 22,
					     .protocol = "ssh",
					     .notice = "taken over",
					     .retain = 1 << 20,
					     .exec_restart = restart};
static const struct jeebs_service strict_service = {
	.port = 22, .protocol = "ssh", .retain = 1 << 20, .exec_restart = no_restart};

static struct crypto_rig told;
static uint32_t others; /* sessions between the same ends that were before */

static bool find_ssh(void *ctx, uint32_t candidate, uint32_t exchange, struct ssh_keys *ret)
{
	static const uint8_t other[36] = {0, 0, 0, 32, 1};

	(void)ctx;
	if (candidate > others || exchange >= told.exchange_n)
		return false;
	*ret = told.exchange[exchange].keys;
	if (candidate < others)
		ret->k = bytes_of(other, sizeof other);
	return true;
}

static const struct session_secrets secrets = {.find_ssh = find_ssh, .ssh = &identity};

static struct ssh_host_key *load(const char *name)
{
	struct ssh_host_key *k = NULL;
	char path[512], text[8192];

	snprintf(path, sizeof path, "%s/%s", TEST_HOST_KEYS, name);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text, f);

	fclose(f);
	assert_int_equal(ssh_host_key_read(bytes_of(text, n), &k), SSH_HOST_KEY_OK);
	return k;
}

/* ---- following ------------------------------------------------------------------------------ */

struct followed {
	struct harness h;
	struct jeebs_keys *live, *cut;
	uint8_t live_room[SESSION_CRYPTO_BYTES], cut_room[SESSION_CRYPTO_BYTES];
};

enum {
	LIVE = 1,
	REOPENED = 2
};

/* Up to @end bytes of what the server said. */
static void follow(struct followed *f, const struct ssh_recording *r,
		   const struct jeebs_service *svc, size_t end, unsigned how, size_t chunk)
{
	const struct harness_options o = {.service = svc, .live = {.max = chunk}};
	struct reader it = reader_init(buf_view(&r->file));
	struct conversation_record c;
	size_t said = 0, n = 0;

	f->live = session_crypto_init(f->live_room, &secrets);
	f->cut = session_crypto_init(f->cut_room, &secrets);
	assert_int_equal(harness_init(&f->h, &ssh_module, &o), 0);
	f->h.live_awaited = how & LIVE;
	while (said < end && conversation_next(&it, &c)) {
		if (c.kind != 'S' && c.kind != 'C')
			continue;
		struct bytes b = c.kind == 'S' ? c.b : bytes_head(c.b, end - said);

		said += c.kind == 'S' ? 0 : b.n;
		if (++n == 12 && (how & LIVE))
			harness_follow_with(&f->h, f->live, &session_crypto_ops);
		if (n % 7 == 0 && (how & REOPENED))
			assert_int_equal(harness_reopen(&f->h), 0);
		harness_data(&f->h, c.kind == 'S' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT, b);
	}
}

static void done(struct followed *f)
{
	assert_null(f->h.violation);
	harness_deinit(&f->h);
	session_crypto_deinit(f->live);
	session_crypto_deinit(f->cut);
}

static void plan(struct followed *f, struct jeebs_plan *ret)
{
	/* As the box's keys do: those of the cut lie where the live ones have lain. */
	session_crypto_deinit(f->cut);
	session_crypto_deinit(f->live);
	f->live = NULL;
	f->cut = session_crypto_init(f->live_room, &secrets);
	harness_unseal(&f->h, f->cut, &session_crypto_ops);
	harness_plan(&f->h, ret);
}

static char *names[NAMES_MAX];
static size_t names_n;

static void load_recording(struct ssh_recording *r, const char *name)
{
	ssh_recording_load(r, TEST_RECORDINGS, name);
	assert_true(crypto_rig_init(&told, buf_view(&r->keys)));
}

static void free_recording(struct ssh_recording *r)
{
	crypto_rig_deinit(&told);
	ssh_recording_free(r);
}

/* However keys come, and in whatever pieces the bytes, the plan is the same. */
static void live_and_sealed_come_to_the_same(void **state)
{
	static struct followed f;
	struct jeebs_plan first, other;
	struct ssh_recording r;

	(void)state;
	for (size_t i = 0; i < names_n; i++) {
		load_recording(&r, names[i]);
		size_t all = r.all[JEEBS_TO_CLIENT].n;

		for (size_t end = all; end > 3000; end -= all / 5) {
			others = 0;
			follow(&f, &r, &service, end, LIVE, 0);
			harness_plan(&f.h, &first);
			assert_int_equal(first.verdict, JEEBS_IF_KEYS);
			plan(&f, &first);
			done(&f);
			for (unsigned how = 0; how < 4; how++) {
				others = how & 1 ? 2 : 0;
				follow(&f, &r, &service, end,
				       how == 1   ? LIVE
				       : how == 2 ? REOPENED
						  : 0,
				       how * 13);
				plan(&f, &other);
				done(&f);
				if (strcmp(first.reason, other.reason) != 0)
					fail_msg("%s, %zu: %s, and not %s", names[i], end,
						 other.reason, first.reason);
				assert_string_equal(first.detail, other.detail);
			}
		}
		others = 0;
		free_recording(&r);
	}
}

/* Not the session's keys, or none: nothing is said of it. */
static void without_its_keys_it_is_refused(void **state)
{
	static struct followed f;
	struct jeebs_plan p;
	struct ssh_recording r;

	(void)state;
	load_recording(&r, "usual");
	told.exchange[0].room[20] ^= 1;
	follow(&f, &r, &service, r.all[JEEBS_TO_CLIENT].n, 0, 0);
	plan(&f, &p);
	assert_int_equal(p.verdict, JEEBS_REFUSE);
	assert_string_equal(p.reason, "ssh-keys-incomplete");
	done(&f);
	told.exchange_n = 0;
	follow(&f, &r, &service, r.all[JEEBS_TO_CLIENT].n, LIVE, 0);
	plan(&f, &p);
	assert_string_equal(p.reason, "ssh-keys-incomplete");
	done(&f);
	free_recording(&r);
}

/* ---- going on ------------------------------------------------------------------------------- */

/* What the client is told behind the cut, read by other hands: its own keys, all from the start. */
struct heard {
	struct buf data[2]; /* of all its channels, by stream; from the beginning */
	size_t packets;
	bool lawful;
};

static void hear(const struct ssh_recording *r, size_t cut, struct bytes more, struct heard *ret)
{
	static uint8_t room[SSH_WIRE_MAX];
	static struct ssh_session s;
	struct buf wire = BUF_INIT(1 << 22);
	struct ssh_crypto c = crypto_rig_of(&told);
	struct reader it = reader_init(buf_view(&r->file));
	struct conversation_record rec;
	size_t used[2] = {0}, there[2] = {0};
	struct ssh_packet p;
	bool last = false;

	buf_append(&wire, r->all[JEEBS_TO_CLIENT].p, cut);
	buf_bytes(&wire, more);
	*ret = (struct heard){.data = {BUF_INIT(1 << 20), BUF_INIT(1 << 20)}};
	ssh_session_init(&s);
	while (!last) {
		bool end = !conversation_next(&it, &rec);
		uint32_t dir = !end && rec.kind == 'S' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT;
		int t = SSH_TAKEN_PACKET;

		last = end || (dir == JEEBS_TO_CLIENT && there[dir] + rec.b.n >= cut);
		if (!end && rec.kind != 'S' && rec.kind != 'C')
			continue;
		there[dir] = last ? wire.n : there[dir] + rec.b.n;
		const uint8_t *from = dir == JEEBS_TO_SERVER ? r->all[dir].p : wire.p;

		while (t == SSH_TAKEN_PACKET || t == SSH_TAKEN_LINE) {
			uint32_t id, code;
			struct bytes data;

			t = ssh_session_take(&s, &c, dir,
					     bytes_of(from + used[dir], there[dir] - used[dir]),
					     room, &p);
			if (t == SSH_TAKEN_PACKET || t == SSH_TAKEN_LINE)
				used[dir] += p.wire_n;
			if (t != SSH_TAKEN_PACKET || dir == JEEBS_TO_SERVER)
				continue;
			ret->packets++;
			if (ssh_channel_data(p.payload, &id, &code, &data))
				buf_bytes(&ret->data[code != 0], data);
		}
	}
	ret->lawful = !s.transport.refused && used[JEEBS_TO_CLIENT] == wire.n;
	crypto_rig_again(&told);
	buf_deinit(&wire);
}

static void unhear(struct heard *h)
{
	buf_deinit(&h->data[0]);
	buf_deinit(&h->data[1]);
}

static bool has(const struct buf *b, const char *text)
{
	return memmem(b->p, b->n, text, strlen(text));
}

static uint32_t columns;

struct tally {
	unsigned continued, refused, differs;
};

/* One death. @full: what the client is to hear in all, of a command; NULL: it is a shell. */
static void die(const struct ssh_recording *r, size_t cut, const char *full, unsigned how,
		struct tally *t)
{
	static struct followed f;
	static struct fake_sshd backup;
	struct jeebs_plan p;
	struct heard heard;

	follow(&f, r, &service, cut, how, 0);
	plan(&f, &p);
	if (p.verdict != JEEBS_CONTINUE) {
		t->refused++;
		done(&f);
		return;
	}
	backup = (struct fake_sshd){.output = full ? bytes_str(full) : BYTES_NONE};
	fake_sshd_init(&backup, identity.host_key[0]);
	struct harness_backend b = fake_sshd_backend(&backup);

	harness_resume(&f.h, &b, BYTES_NONE, false);
	hear(r, cut, buf_view(&f.h.client), &heard);
	if (f.h.outcome == HARNESS_ABORTED) {
		if (!full || strcmp(f.h.abort_reason, "ssh-restart-differs") != 0)
			fail_msg("%s, %zu, %s: %s", r->name, cut, p.reason, f.h.abort_reason);
		t->differs++;
	} else {
		if (!heard.lawful)
			fail_msg("%s, %zu, %s: not lawful", r->name, cut, p.reason);
		assert_string_equal(backup.user, "root");
		if (strcmp(p.reason, "ssh-shell") == 0) {
			assert_int_equal(backup.shells, 1);
			/* Its client learns of its terminal a little later. */
			assert_true(backup.columns >= columns);
			columns = backup.columns;
			assert_true(has(&heard.data[0], "new-prompt "));
			assert_true(has(&heard.data[0], "\r\ntaken over\r\n"));
		} else if (strcmp(p.reason, "ssh-restart") == 0) {
			assert_int_equal(backup.commands, 1);
			assert_int_equal(heard.data[0].n, strlen(full));
			assert_memory_equal(heard.data[0].p, full, strlen(full));
		}
		t->continued++;
	}
	unhear(&heard);
	fake_sshd_deinit(&backup);
	done(&f);
}

static void dies_everywhere(const char *name, const char *full, size_t step, struct tally *t)
{
	struct ssh_recording r;

	load_recording(&r, name);
	for (size_t cut = 1; cut <= r.all[JEEBS_TO_CLIENT].n; cut += cut < 1000 ? 97 : step)
		die(&r, cut, full, cut % 2 ? LIVE : 0, t);
	free_recording(&r);
}

static void a_shell_goes_on(void **state)
{
	struct tally t = {0};

	(void)state;
	dies_everywhere("shell", NULL, 3, &t);
	print_message("shell: %u continued, %u refused\n", t.continued, t.refused);
	assert_true(t.continued > 150);
	assert_int_equal(columns, 100);
}

static void a_command_is_run_again(void **state)
{
	static const char *const all[] = {
		"aes256-gcm",
		"usual",
		"aes128-ctr-umac-64-etm",
		"aes192-ctr-umac-128-etm",
		"aes256-ctr-hmac-sha2-512-etm",
		"aes128-ctr-hmac-sha2-256",
	};
	struct tally t = {0};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		dies_everywhere(all[i], "said\n", 3, &t);
	print_message("commands: %u continued, %u refused, %u differ\n", t.continued, t.refused,
		      t.differs);
	assert_true(t.continued > 300 && t.differs > 0);
}

/* The plan's own refusals, each by its name. */
static void refusals_have_names(void **state)
{
	static const struct {
		const char *name;
		const struct jeebs_service *service;
		const char *reason;
	} all[] = {
		{"chacha20", &service, "ssh-exec-has-input"},
		{"sftp", &service, "ssh-subsystem"},
		{"forwarding", &service, "ssh-exec-not-restartable"},
		{"usual", &strict_service, "ssh-exec-not-restartable"},
	};
	static struct followed f;

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct ssh_recording r;
		struct jeebs_plan p;
		bool found = false;

		load_recording(&r, all[i].name);
		size_t n = r.all[JEEBS_TO_CLIENT].n;

		for (size_t cut = n / 3; cut < n && !found; cut += 31) {
			follow(&f, &r, all[i].service, cut, 0, 0);
			plan(&f, &p);
			found = strcmp(p.reason, all[i].reason) == 0;
			done(&f);
		}
		if (!found)
			fail_msg("%s: never %s", all[i].name, all[i].reason);
		free_recording(&r);
	}
}

/* Without a CA, or without a host key, nothing goes on; and neither if a number may be used. */
static void what_it_needs(void **state)
{
	const struct ssh_identity both = identity;
	static struct followed f;
	struct jeebs_plan p;
	struct ssh_recording r;

	(void)state;
	load_recording(&r, "shell");
	size_t cut = r.all[JEEBS_TO_CLIENT].n * 3 / 4;

	for (int i = 0; i < 3; i++) {
		static const char *const want[] = {"ssh-no-user-ca", "ssh-no-host-key",
						   "ssh-packet-uncertain"};

		identity = both;
		if (i == 0)
			identity.user_ca = NULL;
		if (i == 1)
			identity.host_keys = 0;
		follow(&f, &r, &service, cut, 0, 0);
		f.h.options.more_may_be_out = i == 2;
		plan(&f, &p);
		assert_string_equal(p.reason, want[i]);
		done(&f);
	}
	identity = both;
	free_recording(&r);
}

static struct ssh_host_key *other_key;

/* A backup that is another host, and one that does not let us in. */
static void a_backup_that_is_not_ours(void **state)
{
	struct ssh_recording r;

	(void)state;
	load_recording(&r, "shell");
	size_t cut = r.all[JEEBS_TO_CLIENT].n / 2;

	for (int i = 0; i < 2; i++) {
		static struct followed f;
		static struct fake_sshd backup;
		struct jeebs_plan p;

		follow(&f, &r, &service, cut, 0, 0);
		plan(&f, &p);
		if (p.verdict != JEEBS_CONTINUE && i == 0) {
			done(&f);
			assert_true(++cut < r.all[JEEBS_TO_CLIENT].n);
			i--;
			continue;
		}
		assert_int_equal(p.verdict, JEEBS_CONTINUE);
		backup = (struct fake_sshd){.shuts_out = i == 1};
		fake_sshd_init(&backup, i == 0 ? other_key : identity.host_key[0]);
		struct harness_backend b = fake_sshd_backend(&backup);

		harness_resume(&f.h, &b, BYTES_NONE, false);
		assert_int_equal(f.h.outcome, HARNESS_ABORTED);
		assert_string_equal(f.h.abort_reason,
				    i == 0 ? "backup-host-key" : "backup-login-refused");
		assert_int_equal(backup.logins, i);
		fake_sshd_deinit(&backup);
		done(&f);
	}
	free_recording(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(live_and_sealed_come_to_the_same),
		cmocka_unit_test(without_its_keys_it_is_refused),
		cmocka_unit_test(refusals_have_names),
		cmocka_unit_test(what_it_needs),
		cmocka_unit_test(a_shell_goes_on),
		cmocka_unit_test(a_command_is_run_again),
		cmocka_unit_test(a_backup_that_is_not_ours),
	};

	identity = (struct ssh_identity){1, {load("ed25519")}, load("ecdsa-256")};
	if (ssh_host_key_new(&other_key) != SSH_HOST_KEY_OK)
		return 1;
	names_n = ssh_recording_names(TEST_RECORDINGS, names, NAMES_MAX);
	int r = cmocka_run_group_tests(tests, NULL, NULL);

	for (size_t i = 0; i < names_n; i++)
		free(names[i]);
	ssh_host_key_free(identity.host_key[0]);
	ssh_host_key_free(identity.user_ca);
	ssh_host_key_free(other_key);
	return r;
}
