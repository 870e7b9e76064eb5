/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "recorded.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "conversation.h"

#define FILE_MAX (1u << 20)

/* ---- a recording ---- */

static bool is_fin(const struct conversation_record *c)
{
	return c->kind == 'E' || c->kind == 'F';
}

static uint32_t direction(const struct conversation_record *c)
{
	return c->kind == 'C' || c->kind == 'F' ? JEEBS_TO_CLIENT : JEEBS_TO_SERVER;
}

/* How many places in the record are followed by a possible cut. */
static size_t places(const struct conversation_record *c)
{
	return is_fin(c) ? 1 : c->b.n;
}

static bool next(const struct recorded_test *t, struct reader *r, struct conversation_record *ret)
{
	return t->companion ? conversation_next_numbered(r, ret) : conversation_next(r, ret);
}

static struct buf read_file(const char *folder, const char *name)
{
	struct buf b = BUF_INIT(FILE_MAX);
	char path[512];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(buf_reserve(&b, FILE_MAX), 0);
	b.n = fread(b.p, 1, FILE_MAX, f);
	fclose(f);
	assert_true(b.n < FILE_MAX);
	return b;
}

static void begin_connection(struct recording *r, const struct conversation_record *c)
{
	struct recording_connection *k = &r->connection[r->connection_n];

	assert_true(r->connection_n == c->connection && r->connection_n < RECORDED_CONNECTIONS);
	for (int i = 0; i < 2; i++)
		k->all[i] = BUF_INIT(FILE_MAX);
	if (r->connection_n++ == 0)
		return;
	struct reader p = reader_init(c->b);
	k->server_port = reader_u16be(&p);
	k->client_port = reader_u16be(&p);
	assert_true(reader_ok(&p));
}

static void note(struct recording_connection *k, const struct conversation_record *c)
{
	uint32_t dir = direction(c);

	assert_int_equal(buf_bytes(&k->all[dir], c->b), 0);
	if (is_fin(c)) {
		k->fin[dir] = true;
		k->fin_has = k->all[JEEBS_TO_CLIENT].n;
	} else if (dir == JEEBS_TO_SERVER) {
		assert_true(k->says_n < RECORDED_SAYS);
		k->says[k->says_n].said = k->all[dir].n;
		k->says[k->says_n++].has = k->all[JEEBS_TO_CLIENT].n;
	}
}

/* Shows the oracle the recording. @begin is the offset where the conversation begins. */
static void learn(const struct recorded_test *t, struct recording *r,
		  const struct conversation_record *c, const uint64_t begin[static 2])
{
	const struct recording_connection *k = &r->connection[c->connection];
	uint32_t dir = direction(c);
	const uint64_t off = begin[dir] + k->all[dir].n;
	struct jeebs_bytes b = {c->b.p, c->b.n};

	if (c->connection > 0) {
		struct jeebs_expect who = {.server_port = k->server_port,
					   .client_port = k->client_port};
		assert_int_equal(t->oracle->related(r->oracle, &who, dir, b, is_fin(c)), 0);
	} else if (is_fin(c)) {
		assert_int_equal(t->oracle->fin(r->oracle, dir, off), 0);
	} else {
		assert_int_equal(t->oracle->data(r->oracle, dir, off, b), 0);
	}
}

/* Shows a second oracle the whole flow, including bytes before the conversation's beginning. */
static void learn_another(const struct recorded_test *t, struct recording *r,
			  const uint64_t begin[static 2])
{
	static const uint8_t other[16];

	for (uint32_t dir = 0; dir < 2; dir++) {
		assert_true(begin[dir] <= sizeof other);
		if (begin[dir] > 0)
			assert_int_equal(t->oracle->data(r->oracle, dir, 0,
							 (struct jeebs_bytes){other, begin[dir]}),
					 0);
	}
}

static void recording_open(struct recording *r, const struct recorded_test *t,
			   const struct jeebs_service *service, const char *name)
{
	static const uint64_t nowhere[2];
	const uint64_t *begin = service ? service->begin : nowhere;
	struct conversation_record c = {0};

	*r = (struct recording){.name = name, .file = read_file(t->folder, name)};
	begin_connection(r, &c);
	if (t->oracle) {
		r->oracle = t->oracle->open(service);
		assert_non_null(r->oracle);
		learn_another(t, r, begin);
	}
	struct reader in = reader_init(buf_view(&r->file));
	while (next(t, &in, &c)) {
		if (c.kind == 'P') {
			begin_connection(r, &c);
			continue;
		}
		assert_true(is_fin(&c) || c.kind == 'S' || c.kind == 'C');
		assert_true(c.connection < r->connection_n);
		if (t->oracle)
			learn(t, r, &c, begin);
		note(&r->connection[c.connection], &c);
		r->size += places(&c);
	}
	assert_int_equal(reader_left(&in), 0);
	if (t->oracle)
		assert_int_equal(t->oracle->learned(r->oracle, &r->unasked), 0);
}

static void recording_close(struct recording *r, const struct recorded_test *t)
{
	if (t->oracle)
		t->oracle->close(r->oracle);
	for (unsigned i = 0; i < r->connection_n; i++)
		for (int dir = 0; dir < 2; dir++)
			buf_deinit(&r->connection[i].all[dir]);
	buf_deinit(&r->file);
}

/* ---- up to the cut ---- */

static struct harness *harness_of(struct recorded_run *u, unsigned i)
{
	return i == 0 ? &u->h : &u->connection[i].companion;
}

static void begin(struct recorded_run *u, unsigned i)
{
	struct harness_options o = u->options->harness;

	if (u->test->configure)
		u->test->configure(u->recording->name, &o);
	u->connection[i].begun = true;
	assert_int_equal(
		harness_init(harness_of(u, i), i ? u->test->companion : u->test->module, &o), 0);
}

/* Runs the live half until the server dies, at the place u->cut of all bytes and ends. */
static void live(struct recorded_run *u)
{
	struct reader r = reader_init(buf_view(&u->recording->file));
	struct conversation_record c;
	size_t left = u->cut;

	begin(u, 0);
	while (left > 0 && next(u->test, &r, &c)) {
		struct recorded_connection *k = &u->connection[c.connection];
		uint32_t dir = direction(&c);
		if (c.kind == 'P') {
			begin(u, c.connection);
			continue;
		}
		u->at = c.connection;
		if (is_fin(&c)) {
			k->fin[dir] = true;
			harness_fin(harness_of(u, c.connection), dir);
		}
		struct bytes b = bytes_head(c.b, left);
		if (b.n > 0)
			harness_data(harness_of(u, c.connection), dir, b);
		k->before[dir] += b.n;
		left -= is_fin(&c) ? 1 : b.n;
	}
	u->said = u->connection[0].before[JEEBS_TO_SERVER];
}

static void reopen(struct recorded_run *u)
{
	for (unsigned i = 0; i < u->recording->connection_n; i++) {
		if (u->connection[i].begun)
			assert_int_equal(harness_reopen(harness_of(u, i)), 0);
	}
}

static bool is_expected(const struct jeebs_expect *x, const struct recording_connection *c)
{
	return (!x->server_port || x->server_port == c->server_port) &&
	       (!x->client_port || x->client_port == c->client_port);
}

static void relate(struct recorded_run *u)
{
	for (uint32_t e = 0; e < u->h.expected_n; e++) {
		const struct jeebs_expect *x = &u->h.expected[e];
		for (unsigned i = 1; i < u->recording->connection_n; i++) {
			const struct recording_connection *c = &u->recording->connection[i];
			struct recorded_connection *k = &u->connection[i];
			if (!k->begun || !is_expected(x, c))
				continue;
			struct jeebs_related r = {.tag = x->tag,
						  .server_port = c->server_port,
						  .client_port = c->client_port,
						  .cut = {.ended = k->fin[0] && k->fin[1]}};
			assert_int_equal(harness_relate_live(&u->h, &r, &k->companion), 0);
		}
	}
}

/* ---- behind the cut: the oracle as backup, and the client ---- */

struct backup {
	struct recorded_run *run;
	void *connection;
};

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct backup *k = ctx;
	uint32_t state;

	assert_int_equal(k->run->test->oracle->receive(k->connection,
						       (struct jeebs_bytes){b.p, b.n}, eof, take,
						       answer, &state),
			 0);
	*close = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
	k->run->unknown |= state == JEEBS_ORACLE_UNKNOWN;
}

static void *connect_other(void *ctx, uint16_t port)
{
	struct backup *main = ctx;
	void *connection = main->run->test->oracle->connect_related(main->connection, port);

	if (!connection)
		return NULL;
	struct backup *k = malloc(sizeof *k);
	assert_non_null(k);
	*k = (struct backup){main->run, connection};
	return k;
}

static void disconnect_other(void *ctx)
{
	struct backup *k = ctx;

	if (k) {
		k->run->test->oracle->disconnect(k->connection);
		free(k);
	}
}

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct recorded_run *u = ctx;
	const struct recording_connection *c = &u->recording->connection[0];
	bool waits = u->test->waits && u->test->waits(u);
	uint64_t from = u->said, has = u->connection[0].before[JEEBS_TO_CLIENT] + received;

	for (size_t i = 0; i < c->says_n && (!waits || c->says[i].has <= has); i++) {
		if (c->says[i].said > u->said)
			u->said = c->says[i].said;
	}
	struct bytes all = buf_view(&c->all[JEEBS_TO_SERVER]);
	*ret_eof = u->said == all.n && c->fin[JEEBS_TO_SERVER] && (!waits || has >= c->fin_has);
	return bytes_head(bytes_from(all, (size_t)from), (size_t)(u->said - from));
}

static void resume_with(struct recorded_run *u, struct harness_backend *backend)
{
	struct harness_client client = {.next = client_says, .ctx = u};

	if (u->test->client)
		client = u->test->client(u);
	harness_resume_with(&u->h, backend, &client);
}

static void go_on(struct recorded_run *u)
{
	const struct jeebs_oracle *o = u->test->oracle;
	struct backup main = {u, o->connect(u->recording->oracle, &u->h.cut)};
	struct harness_backend backend = {.receive = receive, .ctx = &main};

	assert_non_null(main.connection);
	if (u->test->companion) {
		backend.connect = connect_other;
		backend.disconnect = disconnect_other;
	}
	resume_with(u, &backend);
	o->disconnect(main.connection);
}

static void go_on_elsewhere(struct recorded_run *u)
{
	struct harness_backend backend = u->test->backup(u);

	resume_with(u, &backend);
}

/* ---- all cuts ---- */

static void cut_once(struct recorded_run *u, struct recorded_count *count)
{
	live(u);
	count->cuts++;
	if (u->options->reopen)
		reopen(u);
	relate(u);
	harness_plan(&u->h, &u->plan);
	if (u->plan.verdict == JEEBS_CONTINUE)
		u->test->backup ? go_on_elsewhere(u) : go_on(u);
	if (u->h.violation)
		RECORDED_FAIL(u, "%s", u->h.violation);
	u->test->check(u, count);
	for (unsigned i = 0; i < u->recording->connection_n; i++) {
		if (!u->connection[i].begun)
			continue;
		assert_null(harness_of(u, i)->violation);
		harness_deinit(harness_of(u, i));
	}
}

static void cut_everywhere(const struct recorded_test *t, const struct recorded_options *options,
			   const char *name, struct recorded_count *count)
{
	struct recording r;
	struct recorded_run u;
	size_t cut = 0;

	recording_open(&r, t, options->harness.service, name);
	do {
		memset(&u, 0, sizeof u);
		u.test = t;
		u.options = options;
		u.recording = &r;
		u.cut = cut;
		cut_once(&u, count);
		cut += u.at > 0 ? t->step : 1;
	} while (u.cut < r.size); /* the last cut comes after everything */
	recording_close(&r, t);
	count->files++;
}

static bool is_recording(const struct recorded_test *t, const char *name)
{
	if (name[0] == '.' || !t->names)
		return name[0] != '.';
	for (size_t i = 0; t->names[i]; i++) {
		if (strncmp(name, t->names[i], strlen(t->names[i])) == 0)
			return true;
	}
	return false;
}

struct recorded_count recorded_check(const struct recorded_test *t,
				     const struct recorded_options *options)
{
	struct recorded_count n = {0};
	DIR *d = opendir(t->folder);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (is_recording(t, e->d_name))
			cut_everywhere(t, options, e->d_name, &n);
	}
	closedir(d);
	print_message("%u recordings, %u cuts: %u exact, %u %s, %u unknown, %u refused, "
		      "%u reset\n",
		      n.files, n.cuts, n.exact, n.other, t->other ? t->other : "otherwise",
		      n.unknown, n.refused, n.aborted);
	assert_true(n.files >= t->least);
	return n;
}

/* ---- for judgements ---- */

struct bytes recorded_rest(const struct recorded_run *u, unsigned connection, uint32_t dir)
{
	return bytes_from(buf_view(&u->recording->connection[connection].all[dir]),
			  (size_t)u->connection[connection].before[dir]);
}

struct bytes recorded_got(const struct recorded_run *u)
{
	return harness_received(&u->h);
}

void recorded_exact(const struct recorded_run *u, struct recorded_count *count)
{
	struct bytes got = recorded_got(u), real = recorded_rest(u, 0, JEEBS_TO_CLIENT);
	bool same = bytes_eq(got, bytes_head(real, got.n));
	bool may_lack = u->h.outcome == HARNESS_ABORTED || u->unknown;

	if (!same || (got.n != real.n && !may_lack))
		RECORDED_FAIL(u, "%zu bytes of %zu, outcome %d, %s: '%.*s'", got.n, real.n,
			      u->h.outcome, same ? "too few" : "others", (int)got.n,
			      (const char *)got.p);
	count->exact += got.n == real.n;
	count->unknown += u->unknown;
}

void recorded_ends(const struct recorded_run *u)
{
	bool fin = u->recording->connection[0].fin[JEEBS_TO_CLIENT];

	if (u->h.outcome != (fin ? HARNESS_FINISHED : HARNESS_JOINED))
		RECORDED_FAIL(u, "outcome %d (%s), the server had %sfinished", u->h.outcome,
			      u->h.abort_reason ? u->h.abort_reason : "", fin ? "" : "not ");
}

void recorded_aborted(const struct recorded_run *u, struct recorded_count *count)
{
	count->aborted++;
	print_message("%s: cut at %zu (%s) aborted: %s\n", u->recording->name, u->cut,
		      u->plan.reason, u->h.abort_reason);
}

bool recorded_contains(struct bytes b, const char *word)
{
	return b.p && memmem(b.p, b.n, word, strlen(word)) != NULL;
}
