/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "talk.h"

struct jeebs_service service;
struct harness_options options;
uint8_t file[FILE_N];

int setup(void **state)
{
	(void)state;
	service = (struct jeebs_service){
		.protocol = "ftp", .login = JEEBS_LOGIN_REPLAY, .retain = 1 << 20};
	options = (struct harness_options){.service = &service,
					   .service_address = {.family = 4, .addr = {10, 0, 0, 1}},
					   .client_address = {.family = 4, .addr = {10, 0, 0, 9}}};
	for (size_t i = 0; i < sizeof file; i++)
		file[i] = (uint8_t)(i * 7 + i / 251);
	return 0;
}

/* ---- the conversation before the cut ---- */

void begin(struct talk *t)
{
	memset(t, 0, sizeof *t);
	assert_int_equal(harness_init(&t->h, &ftp_module, &options), 0);
}

void end(struct talk *t)
{
	if (t->h.violation)
		fail_msg("%s", t->h.violation);
	harness_deinit(&t->h);
	if (t->has_data)
		harness_deinit(&t->data);
}

void client(struct talk *t, const char *s)
{
	harness_data(&t->h, JEEBS_TO_SERVER, bytes_str(s));
}

void server(struct talk *t, const char *s)
{
	harness_data(&t->h, JEEBS_TO_CLIENT, bytes_str(s));
}

void login(struct talk *t)
{
	begin(t);
	server(t, "220 hi\r\n");
	client(t, "USER me\r\n");
	server(t, "331 and?\r\n");
	client(t, "PASS it\r\n");
	server(t, "230 in\r\n");
}

struct harness *open_data(struct talk *t)
{
	t->has_data = true;
	assert_int_equal(harness_init(&t->data, &ftp_data_module, &options), 0);
	return &t->data;
}

void plan(struct talk *t)
{
	if (t->has_data) {
		const struct jeebs_related r = {
			.tag = 1,
			.server_port = 4001,
			.client_port = 5001,
			.cut = {.ended = t->data.log[0].fin && t->data.log[1].fin}};
		assert_int_equal(t->h.expected[0].server_port, 4001);
		assert_int_equal(harness_relate_live(&t->h, &r, &t->data), 0);
	}
	harness_plan(&t->h, &t->plan);
}

void planned(struct talk *t, uint32_t verdict, const char *reason)
{
	plan(t);
	assert_string_equal(t->plan.reason, reason);
	assert_int_equal(t->plan.verdict, verdict);
}

/* ---- a backup that answers from a table ---- */

static struct backup *backup;

static const char *reply_to(const char *line)
{
	for (const struct answer *a = backup->answers; a && a->command; a++)
		if (strcmp(a->command, line) == 0)
			return a->reply;
	if (strncmp(line, "USER", 4) == 0)
		return "331 go on\r\n";
	if (strncmp(line, "PASS", 4) == 0)
		return "230 in\r\n";
	if (strcmp(line, "EPSV") == 0)
		return "229 here (|||777|)\r\n";
	if (strncmp(line, "REST", 4) == 0 || strncmp(line, "RNFR", 4) == 0)
		return "350 ok\r\n";
	if (strncmp(line, "SIZE", 4) == 0)
		return "213 200000\r\n";
	if (strncmp(line, "RETR", 4) == 0 || strncmp(line, "STOR", 4) == 0 ||
	    strncmp(line, "LIST", 4) == 0)
		return "150 opening\r\n226 done\r\n";
	return "200 fine\r\n";
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	const uint8_t *nl;

	if (ctx != backup) { /* it is the data connection */
		buf_bytes(&backup->got, b);
		backup->got_end |= eof;
		if (ctx == &backup->got) {
			*close = eof;
			return;
		}
		if (!backup->content_sent)
			buf_bytes(answer, backup->content);
		backup->content_sent = true;
		*close = backup->content_ends || eof;
		return;
	}
	if (!backup->greeted)
		buf_bytes(answer,
			  bytes_str(backup->greeting ? backup->greeting : "220 backup\r\n"));
	backup->greeted = true;
	buf_bytes(&backup->in, b);
	while (backup->in.n > 0 && (nl = memchr(backup->in.p, '\n', backup->in.n))) {
		char line[256];
		size_t n = (size_t)(nl - backup->in.p);
		memcpy(line, backup->in.p, n - 1);
		line[n - 1] = 0;
		buf_consume(&backup->in, n + 1);
		strcat(strcat(backup->asked, line), "|");
		buf_bytes(answer, bytes_str(reply_to(line)));
		*fail |= backup->fails_after && strcmp(backup->fails_after, line) == 0;
	}
	*close = eof;
}

static void *connect_data(void *ctx, uint16_t port)
{
	(void)ctx;
	bool again = backup->connected;

	backup->connected = port == 777;
	if (port != 777)
		return NULL;
	return again ? (void *)&backup->got : (void *)&backup->content;
}

struct says {
	const char *text;
	bool answering; /* the client speaks only when it has received something */
};

static struct bytes next(void *ctx, uint64_t received, bool *ret_eof)
{
	struct says *s = ctx;
	const char *text = s ? s->text : NULL;

	*ret_eof = false;
	if (s && s->answering && received == 0)
		return BYTES_NONE;
	if (s)
		s->text = NULL;
	return text ? bytes_str(text) : BYTES_NONE;
}

static enum harness_opening opens(void *ctx, const struct harness_channel *c, void **ret)
{
	(void)ctx;
	*ret = NULL;
	return c->kind == HARNESS_LISTENED ? HARNESS_NOT_YET : HARNESS_THERE;
}

static void resume_as(struct talk *t, struct backup *b, struct says says)
{
	const struct harness_backend k = {.receive = receive, .ctx = b, .connect = connect_data};
	const struct harness_client c = {.next = next, .ctx = &says, .open = opens};

	backup = b;
	b->in = BUF_INIT(1 << 16);
	b->got = BUF_INIT(1 << 20);
	harness_resume_with(&t->h, &k, &c);
	buf_deinit(&b->in);
}

void resume(struct talk *t, struct backup *b, const char *more)
{
	resume_as(t, b, (struct says){.text = more});
}

void resume_answering(struct talk *t, struct backup *b, const char *more)
{
	resume_as(t, b, (struct says){.text = more, .answering = true});
}

void got(struct talk *t, const char *s)
{
	struct buf b = BUF_INIT(1 << 16);

	buf_bytes(&b, buf_view(&t->h.client));
	buf_u8(&b, 0);
	assert_string_equal((char *)b.p, s);
	buf_deinit(&b);
}
