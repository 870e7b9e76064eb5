/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a drill prints: its JSON, compared with docs/dry-run.md, its table, and what happens when it
 * cannot print. */
#include "test/dry-run-rig.h"

#include <errno.h>

#include "dry-run-report.h"

/* ---- the documented fields ---- */

#define NAMES_MAX 64

/* Paths of fields, such as "connections[].client". */
struct names {
	char name[NAMES_MAX][64];
	int n;
};

static bool has(const struct names *s, const char *name)
{
	for (int i = 0; i < s->n; i++)
		if (strcmp(s->name[i], name) == 0)
			return true;
	return false;
}

static void add(struct names *s, const char *prefix, const char *name)
{
	char text[64];

	assert_true(snprintf(text, sizeof text, "%s%s", prefix, name) < (int)sizeof text);
	if (has(s, text))
		return;
	assert_true(s->n < NAMES_MAX);
	strcpy(s->name[s->n++], text);
}

/* Returns the next `word` of *io. NULL: there is none. */
static char *next_code(char **io)
{
	char *from = strchr(*io, '`');
	char *to = from ? strchr(from + 1, '`') : NULL;

	if (!to)
		return NULL;
	*to = 0;
	*io = to + 1;
	return from + 1;
}

/* The first column: `a.b` begins a group, `.c` belongs to the same one, `a[]` to its elements. */
static void read_names(struct names *s, char *cell, char prefix[static 64])
{
	for (char *w; (w = next_code(&cell));) {
		char *dot = strchr(w, '.');

		if (*w == '.') {
			add(s, prefix, w + 1);
			continue;
		}
		add(s, "", w);
		if (strstr(w, "[]"))
			snprintf(prefix, 64, "%s.", w);
		else if (dot)
			snprintf(prefix, 64, "%.*s", (int)(dot + 1 - w), w);
	}
}

/* The second column: "`a.b` has `c`, `d`". */
static void read_members(struct names *s, char *cell)
{
	char prefix[66], *object = strstr(cell, "` has `");

	if (!object)
		return;
	while (object > cell && object[-1] != '`')
		object--;
	cell = object - 1;
	object = next_code(&cell);
	snprintf(prefix, sizeof prefix, "%s.", object);
	for (char *w; (w = next_code(&cell));)
		add(s, prefix, w);
}

static void read_documented(struct names *s)
{
	FILE *f = fopen(DOCUMENT, "re");
	char line[1024], prefix[64] = "";
	bool in = false;

	assert_non_null(f);
	s->n = 0;
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, "## ", 3) == 0)
			in = strncmp(line, "## JSON", 7) == 0;
		if (!in || strncmp(line, "| `", 3) != 0)
			continue;
		char *end = strchr(line + 1, '|');
		assert_non_null(end);
		*end = 0;
		read_names(s, line + 1, prefix);
		read_members(s, end + 1);
	}
	fclose(f);
	assert_true(s->n > 30);
	add(s, "", "api"); /* the document has it in a heading */
}

static bool is_counts(const char *name)
{
	return strstr(name, "_by_reason") != NULL;
}

static void read_printed(struct names *s, const char *prefix, json_t *object)
{
	const char *key;
	json_t *v;

	json_object_foreach(object, key, v)
	{
		char inner[128];

		if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
			size_t i;
			json_t *element;
			snprintf(inner, sizeof inner, "%s%s[]", prefix, key);
			add(s, "", inner);
			strcat(inner, ".");
			json_array_foreach(v, i, element) read_printed(s, inner, element);
		} else if (json_is_object(v) && !is_counts(key)) {
			snprintf(inner, sizeof inner, "%s%s.", prefix, key);
			read_printed(s, inner, v);
		} else {
			add(s, prefix, key);
		}
	}
}

static void a_continued_and_a_refused(void)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	struct talk b = talk_open("10.1.0.8:40000", "10.9.0.1:80");

	ask(&a, GET);
	ask(&b, POST);
	answer(&b, "HTTP/1.1 2");
	acknowledge(&a);
}

static void test_fields_are_as_documented(void **state)
{
	static struct names documented, printed;

	read_documented(&documented);
	printed.n = 0;
	a_continued_and_a_refused();
	assert_int_equal(run(), 1);
	assert_int_equal(number("api"), 1);
	read_printed(&printed, "", ran.json);
	assert_false(has(&printed, "capture.error.packet"));
	capture.n--;
	assert_int_equal(run(), 65);
	read_printed(&printed, "", ran.json);
	for (int i = 0; i < printed.n; i++)
		if (!has(&documented, printed.name[i]))
			fail_msg("%s is not documented", printed.name[i]);
	for (int i = 0; i < documented.n; i++)
		if (!has(&printed, documented.name[i]))
			fail_msg("%s is documented and not printed", documented.name[i]);
}

/* Each object has the same fields, whatever they say. */
static void test_every_connection_has_every_field(void **state)
{
	static struct names one, other;

	a_continued_and_a_refused();
	run();
	read_printed(&one, "", connection(0));
	read_printed(&other, "", connection(1));
	assert_int_equal(one.n, 15);
	assert_memory_equal(&one, &other, sizeof one);
}

/* The words in the document are as stable as the fields. */
static void test_types(void **state)
{
	a_continued_and_a_refused();
	run();
	assert_true(json_is_string(get("capture.file")));
	assert_true(json_is_boolean(get("capture.complete")));
	assert_true(json_is_array(get("servers")));
	assert_true(json_is_real(get("cut.time_s")));
	assert_true(json_is_real(get("detection_bound_ms")));
	for (size_t i = 0; i < 2; i++) {
		struct endpoint e;
		assert_int_equal(endpoint_parse(word(connection(i), "client"), false, &e), 0);
		assert_int_equal(endpoint_parse(word(connection(i), "server"), false, &e), 0);
		assert_true(json_is_real(json_object_get(connection(i), "age_s")));
		word(connection(i), "reason");
		word(connection(i), "detail");
	}
	assert_int_equal(number("totals.continue") + number("totals.refuse"),
			 number("totals.live"));
}

/* ---- the table ---- */

static void assert_says(const char *text)
{
	if (!strstr(ran.out, text))
		fail_msg("no \"%s\" in:\n%s", text, ran.out);
}

static void test_table(void **state)
{
	options.json = false;
	a_continued_and_a_refused();
	capture.n--;
	assert_int_equal(run(), 65);
	assert_says("/capture.pcap: 9 packets to the cut (9 TCP)\n");
	assert_says("\nprotected: 10.9.0.1; killed after packet 9, at 0.008000 s\n\n");
	assert_says("CLIENT         SERVICE     STATE       MODULE VERDICT  HOW/WHY");
	assert_says("10.1.0.7:40000 10.9.0.1:80 established http   continue replay ");
	assert_says(
		"10.1.0.8:40000 10.9.0.1:80 established http   refuse   request-not-idempotent");
	assert_says("400 ms\n");
	assert_says("\n2 live connections, 0 gone before the cut\n"
		    "continue 1: replay 1\n"
		    "refuse 1: request-not-idempotent 1\n"
		    "incomplete: the capture is damaged at packet 10: the file ends inside the "
		    "record after packet 9");
}

static void an_older_one(int n)
{
	for (int i = 0; i < n; i++) {
		char client[ENDPOINT_STRLEN];
		snprintf(client, sizeof client, "10.1.0.7:%d", 40000 + i);
		struct talk t = talk(client, "10.9.0.1:80");
		ask(&t, GET);
		answer(&t, "some of an answer");
	}
}

/* Of one connection only the client was seen. What is missing is shown beside the others. */
static void test_older_than_the_capture(void **state)
{
	options.server_auto = false;
	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &options.server), 0);
	an_older_one(1);
	struct talk t = talk("10.1.0.8:40000", "10.9.0.1:80");
	ask(&t, GET);
	run();
	json_t *told = json_object_get(connection(0), "options");
	assert_int_equal(json_array_size(told), INFER_TOPICS_);
	assert_string_equal(json_string_value(json_array_get(told, INFER_SCALE_CLIENT)),
			    "window scale of the client: between 0 and 14; 0 is safe and used");
	assert_string_equal(word(connection(0), "reason"), "framing-unknown");
	assert_string_equal(word(connection(1), "reason"), "handshake-not-seen");
	options.json = false;
	run();
	assert_says("\n10.1.0.8:40000 is older than the capture: "
		    "all options: nothing of the server was seen yet\n"
		    "  timestamps: missing (only one end was seen)\n");
}

static void test_many_older_than_the_capture(void **state)
{
	options.server_auto = false;
	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &options.server), 0);
	options.json = false;
	an_older_one(21);
	run();
	assert_says("\n10.1.0.7:40019 is older");
	assert_null(strstr(ran.out, "10.1.0.7:40020 is older"));
	assert_says("\n1 more are older than the capture; -o json has them all\n");
}

static void test_empty_table(void **state)
{
	options.json = false;
	assert_int_equal(run(), 0);
	assert_says("\n0 live connections, 0 gone before the cut\ncontinue 0\nrefuse 0\n");
	assert_null(strstr(ran.out, "CLIENT"));
}

/* ---- a ceiling ---- */

/* There are more reasons than are counted by name. None is lost. */
static void test_reasons_beyond_the_bound(void **state)
{
	enum {
		ROWS = 100
	};
	static struct dry_run_row rows[ROWS];
	static char reason[ROWS][16];
	const char *names[] = {"s"};
	struct dry_run_report r = {
		.file = "f",
		.complete = true,
		.servers = names,
		.server_count = 1,
		.rows = rows,
		.row_count = ROWS,
		.refused = ROWS,
	};
	size_t size;

	for (int i = 0; i < ROWS; i++) {
		snprintf(reason[i], sizeof reason[i], "reason-%d", i);
		endpoint_parse("10.1.0.7:1", false, &rows[i].client);
		rows[i].server = rows[i].client;
		rows[i].plan = (struct plan){.module = "-", .reason = reason[i]};
	}
	FILE *f = open_memstream(&ran.out, &size);
	assert_int_equal(dry_run_report_json(&r, f), 0);
	fclose(f);
	ran.json = json_loads(ran.out, 0, NULL);
	long long sum = 0;
	const char *key;
	json_t *v;
	json_object_foreach(get("totals.refuse_by_reason"), key, v) sum += json_integer_value(v);
	assert_int_equal(sum, ROWS);
	assert_int_equal(json_object_size(get("totals.refuse_by_reason")), 64);
	assert_int_equal(json_object_size(get("totals.continue_by_reason")), 0);
	write_file(path, "", 0);
}

/* ---- when it cannot print ---- */

static void test_name_that_is_not_utf8(void **state)
{
	char plain[sizeof path];

	memcpy(plain, path, sizeof plain);
	snprintf(path, sizeof path, "%s/caf\xe9.pcap", folder);
	a_continued_and_a_refused();
	assert_int_equal(run(), 1);
	const char *file = json_string_value(get("capture.file"));
	assert_string_equal(strrchr(file, '/'), "/caf?.pcap");
	rename(path, plain);
	memcpy(path, plain, sizeof path);
}

static void test_nowhere_to_write(void **state)
{
	char *err_text;
	size_t size;

	a_continued_and_a_refused();
	run();
	for (int json = 0; json < 2; json++) {
		options.json = json;
		FILE *full = fopen("/dev/full", "we"), *err = open_memstream(&err_text, &size);
		assert_int_equal(dry_run(&options, full, err), 74);
		fclose(full);
		fclose(err);
		assert_string_equal(err_text, "jeebs-appliance: the report cannot be written\n");
		free(err_text);
	}
}

static int allocations_left;

static void *scarce_malloc(size_t n)
{
	return allocations_left-- > 0 ? malloc(n) : NULL;
}

/* When any allocation fails there is an error, and no incomplete report. */
static void test_no_memory_for_json(void **state)
{
	int n = 0;

	a_continued_and_a_refused();
	capture.n--;
	assert_int_equal(run(), 65);
	char *whole = strdup(ran.out);
	forget_run();
	json_set_alloc_funcs(scarce_malloc, free);
	for (;; n++) {
		char *out, *err_text;
		size_t out_size, err_size;
		FILE *f = open_memstream(&out, &out_size),
		     *e = open_memstream(&err_text, &err_size);
		allocations_left = n;
		int code = dry_run(&options, f, e);
		fclose(f);
		fclose(e);
		bool same = strcmp(out, whole) == 0;
		free(out);
		if (code == 65) {
			assert_true(same);
			free(err_text);
			break;
		}
		assert_int_equal(code, 70);
		assert_string_equal(err_text, "jeebs-appliance: out of memory\n");
		free(err_text);
	}
	json_set_alloc_funcs(malloc, free);
	assert_true(n > 50);
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_fields_are_as_documented),
		CASE(test_every_connection_has_every_field),
		CASE(test_types),
		CASE(test_table),
		CASE(test_older_than_the_capture),
		CASE(test_many_older_than_the_capture),
		CASE(test_empty_table),
		CASE(test_reasons_beyond_the_bound),
		CASE(test_name_that_is_not_utf8),
		CASE(test_nowhere_to_write),
		CASE(test_no_memory_for_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
