/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * jeebsctl: asks and directs a running jeebs-appliance. See jeebsctl(8).
 */
#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "jeebsctl-client.h"
#include "jeebsctl-table.h"

#define DEFAULT_SOCKET "/run/jeebs/control.sock"

static const struct table_column server_columns[] = {
	{"name", "name", true, false},
	{"state", "state", true, false},
	{"ready", "ready", true, false},
	{"addresses", "addresses", true, false},
	{"interface", "interface", false, false},
	{"backups", "backups", true, false},
	{"live", "live", true, true},
	{"connections", "connections", false, true},
	{"arp", "last_probe.arp", true, false},
	{"tcp", "last_probe.tcp", true, false},
	{"missed", "last_probe.missed", true, true},
	{"bound_ms", "detection_bound_ms", true, true},
	{"hold", "hold", true, false},
	{"reason", "not_ready_reason", true, false},
};

static const struct table_column failover_columns[] = {
	{"server", "server", true, false},
	{"failover", "failover", false, false},
	{"outcome", "outcome", true, false},
	{"because", "called_off_because", true, false},
	{"live", "live", true, true},
	{"continuing", "continuing", true, true},
	{"continued", "continued", true, true},
	{"refused", "refused", true, true},
	{"aborted", "aborted", true, true},
	{"gone", "gone", true, true},
	{"unanswered", "unanswered", true, true},
	{"settled", "settled", false, false},
	{"open_ms", "open_ms", true, true},
	{"detected_ms", "detected_ms", false, true},
	{"first_byte_ms", "first_byte_ms", false, true},
	{"why", "aborted_because", true, false},
	{"refused_why", "refused_because", false, false},
};

static const struct table_column connection_columns[] = {
	{"client", "client", true, false},
	{"server", "server", true, false},
	{"port", "service", false, true},
	{"protocol", "protocol", true, false},
	{"state", "state", true, false},
	{"age", "age_s", true, true},
	{"to_client", "bytes_to_client", true, true},
	{"to_server", "bytes_to_server", true, true},
	{"in_flight", "in_flight", true, true},
	{"retained", "retained", true, true},
	{"verdict", "verdict", true, false},
	{"reason", "reason", true, false},
	{"module", "module", false, false},
	{"detail", "detail", false, false},
};

static const struct table_column approval_columns[] = {
	{"failover", "failover", true, false}, {"server", "server", true, false},
	{"cause", "cause", true, false},       {"silent_s", "since_s", true, true},
	{"sessions", "sessions", true, true},  {"protocols", "protocols", true, false},
	{"left_s", "left_s", true, true},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The parsed command line. */
struct invocation {
	const char *socket;
	const char *columns; /* -o NAME,... */
	bool json;
	char **arguments; /* those after the verb */
	int count;
};

struct verb {
	const char *name;
	const char *arguments; /* as --help shows them */
	const char *help;
	/* Makes the request; NULL: the arguments are wrong. */
	json_t *(*request)(const struct invocation *v);
	/* Prints the reply's data. Returns EXIT_OK, or why the data could not be shown. */
	int (*print)(const struct invocation *v, const json_t *data);
	bool (*is_yes)(const json_t *data); /* whether the answer is "yes"; NULL: always */
	bool table;                         /* -o selects columns */
	/* Comes before the request: shows what is decided, and asks. EXIT_OK: go on. NULL: nothing
	 * is asked. */
	int (*confirm)(const struct invocation *v);
};

static int64_t number(const json_t *object, const char *key)
{
	return (int64_t)json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "-";
}

static json_t *request_status(const struct invocation *v)
{
	return v->count == 0 ? json_pack("{s:s}", "cmd", "status") : NULL;
}

static void print_size(const char *before, int64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && unit + 1 < COUNT(units); unit++)
		value /= 1024;
	printf(unit == 0 ? "%s%.0f %s" : "%s%.1f %s", before, value, units[unit]);
}

static bool is_on_hold(const json_t *data)
{
	return json_is_true(json_object_get(data, "hold"));
}

static bool is_watching(const json_t *data)
{
	return strcmp(text(data, "state"), "watching") == 0 && !is_on_hold(data);
}

/* What the key vaults have; @keys is null without one. */
static void print_keys(const json_t *keys)
{
	json_t *it;
	size_t i;

	json_array_foreach(json_object_get(keys, "vaults"), i, it)
	{
		const char *detail = text(it, "detail");
		printf("vault %s: %s%s%s\n", text(it, "vault"), text(it, "state"),
		       *detail ? ": " : "", detail);
	}
	json_array_foreach(json_object_get(keys, "services"), i, it)
		printf("keys: %s: %" PRId64 " of %" PRId64 " sessions have keys\n",
		       text(it, "service"), number(it, "with_keys"), number(it, "sessions"));
	json_array_foreach(json_object_get(keys, "takeovers"), i, it)
		printf("keys of %s: %s, %" PRId64 " of %" PRId64 " sessions opened\n",
		       text(it, "failover"), text(it, "state"), number(it, "opened"),
		       number(it, "sessions"));
	if (number(keys, "waiting") > 0)
		printf("keys of %" PRId64 " takeovers wait for you: jeebsctl approve\n",
		       number(keys, "waiting"));
}

/* The first line must stand alone, for check programs that show only one line. */
static int print_status(const struct invocation *v, const json_t *data)
{
	const json_t *capture = json_object_get(data, "capture");
	const json_t *store = json_object_get(data, "store");
	const char *state = text(data, "state");
	int64_t up = number(data, "uptime_s"), servers = number(data, "servers");

	if (is_watching(data))
		fputs("OK", stdout);
	else if (strcmp(state, "watching") == 0)
		fputs("HOLDING", stdout);
	else
		for (; *state; state++)
			putchar(toupper((unsigned char)*state));
	printf(" %" PRId64 " server%s, %" PRId64 " of %" PRId64 " live connections continuable\n",
	       servers, servers == 1 ? "" : "s", number(data, "continuable"), number(data, "live"));
	printf("version %s, pid %" PRId64 ", up %" PRId64 "d %02d:%02d:%02d\n",
	       text(data, "version"), number(data, "pid"), up / 86400, (int)(up / 3600 % 24),
	       (int)(up / 60 % 60), (int)(up % 60));
	printf("connections: %" PRId64 " tracked, %" PRId64 " live, %" PRId64 " carried on\n",
	       number(data, "connections"), number(data, "live"), number(data, "joined"));
	if (number(data, "ended_by_services") > 0)
		printf("ended by services that went down: %" PRId64 "\n",
		       number(data, "ended_by_services"));
	printf("capture: %" PRId64 " packets, %" PRId64 " dropped\n", number(capture, "packets"),
	       number(capture, "drops"));
	print_size("store: ", number(store, "bytes"));
	print_size(" of ", number(store, "limit_bytes"));
	printf(", %" PRId64 " records\n", number(store, "records"));
	printf("hold: %s\n", is_on_hold(data) ? "on" : "off");
	print_keys(json_object_get(data, "keys"));
	return EXIT_OK;
}

static bool is_connections(const struct invocation *v)
{
	return v->count > 0 && strcmp(v->arguments[0], "connections") == 0;
}

static bool is_failovers(const struct invocation *v)
{
	return v->count > 0 && strcmp(v->arguments[0], "failovers") == 0;
}

static json_t *request_show(const struct invocation *v)
{
	if (is_connections(v) && v->count <= 2)
		return json_pack("{s:s, s:s, s:s*}", "cmd", "show", "what", "connections", "server",
				 v->count == 2 ? v->arguments[1] : NULL);
	if (v->count == 1 && strcmp(v->arguments[0], "servers") == 0)
		return json_pack("{s:s, s:s}", "cmd", "show", "what", "servers");
	if (v->count == 1 && is_failovers(v))
		return json_pack("{s:s, s:s}", "cmd", "show", "what", "failovers");
	return NULL;
}

/* The columns of the table that the invocation shows. */
static const struct table_column *columns_of(const struct invocation *v, size_t *ret_count)
{
	*ret_count = COUNT(server_columns);
	if (is_connections(v)) {
		*ret_count = COUNT(connection_columns);
		return connection_columns;
	}
	if (v->count == 0) {
		*ret_count = COUNT(approval_columns);
		return approval_columns;
	}
	if (!is_failovers(v))
		return server_columns;
	*ret_count = COUNT(failover_columns);
	return failover_columns;
}

static int print_show(const struct invocation *v, const json_t *data)
{
	size_t count;
	const struct table_column *columns = columns_of(v, &count);

	return table_print(data, columns, count, v->columns);
}

static json_t *request_explain(const struct invocation *v)
{
	return v->count == 1
		       ? json_pack("{s:s, s:s}", "cmd", "explain", "connection", v->arguments[0])
		       : NULL;
}

/* Prints "  options: mss=1460 sack=yes" for each group of details. */
static int print_groups(const json_t *data)
{
	static const char *const groups[] = {"options", "to_server", "to_client"};
	const char *key;
	json_t *value;

	for (size_t i = 0; i < COUNT(groups); i++) {
		json_t *group = json_object_get(data, groups[i]);
		if (json_object_size(group) == 0)
			continue;
		printf("  %s:", groups[i]);
		json_object_foreach(group, key, value)
		{
			_cleanup_free_ char *shown = table_text(value);
			if (!shown)
				return EXIT_UNAVAILABLE;
			printf(" %s=%s", key, shown);
		}
		putchar('\n');
	}
	return EXIT_OK;
}

static bool is_continued(const json_t *data)
{
	return strcmp(text(data, "verdict"), "continue") == 0;
}

static int print_explain(const struct invocation *v, const json_t *data)
{
	_cleanup_free_ char *marks = table_text(json_object_get(data, "marks"));
	_cleanup_free_ char *detail = table_text(json_object_get(data, "detail"));
	json_t *sentence;
	size_t i;

	if (!marks || !detail)
		return EXIT_UNAVAILABLE;
	printf("%s: %s (%s): %s\n", text(data, "client"), text(data, "verdict"),
	       text(data, "reason"), detail);
	json_array_foreach(json_object_get(data, "sentences"), i, sentence)
	{
		_cleanup_free_ char *line = table_text(sentence);
		printf("  %s\n", line ? line : "");
	}
	printf("  service: %s, %s by module %s\n", text(data, "server"), text(data, "protocol"),
	       text(data, "module"));
	printf("  state: %s for %" PRId64 " s, %" PRId64 " bytes to the client, %" PRId64
	       " to the server, %" PRId64 " in flight, %" PRId64 " retained\n",
	       text(data, "state"), number(data, "age_s"), number(data, "bytes_to_client"),
	       number(data, "bytes_to_server"), number(data, "in_flight"),
	       number(data, "retained"));
	printf("  marks: %s\n", marks);
	return print_groups(data);
}

static json_t *request_failover(const struct invocation *v)
{
	return v->count == 1 ? json_pack("{s:s, s:s}", "cmd", "failover", "server", v->arguments[0])
			     : NULL;
}

static int print_failover(const struct invocation *v, const json_t *data)
{
	printf("takeover of %s started; watch it with: jeebsctl show servers\n", v->arguments[0]);
	return EXIT_OK;
}

/* Parses [SERVER] [on|off]. */
static bool parse_hold(const struct invocation *v, const char **ret_server, bool *ret_on)
{
	int n = v->count;

	*ret_on = true;
	if (n > 0 &&
	    (strcmp(v->arguments[n - 1], "on") == 0 || strcmp(v->arguments[n - 1], "off") == 0))
		*ret_on = strcmp(v->arguments[--n], "on") == 0;
	*ret_server = n > 0 ? v->arguments[0] : NULL;
	return n <= 1;
}

static json_t *request_hold(const struct invocation *v)
{
	const char *server;
	bool on;

	if (!parse_hold(v, &server, &on))
		return NULL;
	return json_pack("{s:s, s:s?, s:b}", "cmd", "hold", "server", server, "on", on);
}

static int print_hold(const struct invocation *v, const json_t *data)
{
	const char *server;
	bool on;

	parse_hold(v, &server, &on);
	printf("%s %s\n", server ? server : "all servers",
	       on ? "held: no takeover until hold is off" : "no longer held");
	return EXIT_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool shows_approvals(const struct invocation *v)
{
	return v->count == 0;
}

static json_t *request_approve(const struct invocation *v)
{
	bool alike = v->count == 2 && strcmp(v->arguments[1], "alike") == 0;

	if (shows_approvals(v))
		return json_pack("{s:s, s:s}", "cmd", "show", "what", "approvals");
	if (v->count > 2 || (v->count == 2 && !alike))
		return NULL;
	return json_pack("{s:s, s:s, s:b}", "cmd", "approve", "failover", v->arguments[0], "alike",
			 alike);
}

static int print_approve(const struct invocation *v, const json_t *data)
{
	if (shows_approvals(v))
		return table_print(data, approval_columns, COUNT(approval_columns), v->columns);
	printf("%s: approved\n", text(data, "failover"));
	return EXIT_OK;
}

static json_t *request_refuse(const struct invocation *v)
{
	return v->count == 1 ? json_pack("{s:s, s:s}", "cmd", "refuse", "failover", v->arguments[0])
			     : NULL;
}

static int print_refuse(const struct invocation *v, const json_t *data)
{
	printf("%s: refused\n", text(data, "failover"));
	return EXIT_OK;
}

static json_t *request_revoke(const struct invocation *v)
{
	return v->count == 1 ? json_pack("{s:s, s:s}", "cmd", "revoke", "server", v->arguments[0])
			     : NULL;
}

static int print_revoke(const struct invocation *v, const json_t *data)
{
	printf("%s: %" PRId64 " policies forgotten\n", text(data, "server"),
	       number(data, "policies"));
	return EXIT_OK;
}

static void print_case(const json_t *c)
{
	_cleanup_free_ char *protocols = table_text(json_object_get(c, "protocols"));

	printf("%s: %s (%s), silent for %" PRId64 " s: keys of %" PRId64 " sessions (%s); %" PRId64
	       " s are left\n",
	       text(c, "failover"), text(c, "server"), text(c, "cause"), number(c, "since_s"),
	       number(c, "sessions"), protocols ? protocols : "", number(c, "left_s"));
}

/* People are asked, scripts are not. */
static bool is_sure(void)
{
	char line[16];

	if (!isatty(STDIN_FILENO))
		return true;
	printf("Open them? [y/N] ");
	fflush(stdout);
	return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int confirm_approve(const struct invocation *v)
{
	json_t *reply = NULL, *c;
	int r = EXIT_OK;
	size_t i;

	if (shows_approvals(v) || v->json)
		return EXIT_OK;
	json_t *request = json_pack("{s:s, s:s}", "cmd", "show", "what", "approvals");
	if (!request)
		return EXIT_UNAVAILABLE;
	r = ctl_call(v->socket, request, &reply);
	json_array_foreach(json_object_get(reply, "data"), i, c)
	{
		if (strcmp(text(c, "failover"), v->arguments[0]) != 0)
			continue;
		print_case(c);
		r = is_sure() ? EXIT_OK : EXIT_NEGATIVE;
	}
	json_decref(request);
	json_decref(reply);
	return r; /* of one that does not wait the daemon says why */
}

/* clang-format off */
static const struct verb verbs[] = {
	{"status", "", "one line for checks, then the daemon's numbers",
	 request_status, print_status, is_watching},
	{"show", "servers | connections [SERVER] | failovers", "tables",
	 request_show, print_show, .table = true},
	{"explain", "CLIENT:PORT", "why this connection would be continued or refused",
	 request_explain, print_explain, is_continued},
	{"failover", "SERVER", "take over this server now",
	 request_failover, print_failover},
	{"hold", "[SERVER] [on|off]", "no takeover while it is on",
	 request_hold, print_hold},
	{"approve", "[FAILOVER [alike]]", "open the keys of this takeover; what waits for that",
	 request_approve, print_approve, .confirm = confirm_approve, .table = true},
	{"refuse", "FAILOVER", "do not open them",
	 request_refuse, print_refuse},
	{"revoke", "SERVER", "forget what was approved for cases alike",
	 request_revoke, print_revoke},
};
/* clang-format on */

static void print_help(void)
{
	printf("Usage: jeebsctl [-s SOCKET] [-o FORMAT] VERB [ARGUMENT]...\n\n");
	for (size_t i = 0; i < COUNT(verbs); i++)
		printf("  %-8s %-42s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
	printf("\n  -s, --socket SOCKET   control socket (%s)\n"
	       "  -o, --output FORMAT   table, json, or columns: NAME,NAME...\n"
	       "  -h, --help\n"
	       "  -V, --version\n\n"
	       "Exit codes: 0 yes, 1 no, 64 usage, 69 no daemon, 77 not permitted. See "
	       "jeebsctl(8).\n",
	       DEFAULT_SOCKET);
}

static int usage_error(const char *what, const char *argument)
{
	fprintf(stderr, "jeebsctl: %s%s; see jeebsctl --help\n", what, argument);
	return EXIT_USAGE;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* Checks -o before the daemon is asked. */
static int check_columns(const struct invocation *v, const struct verb *verb)
{
	if (!v->columns)
		return EXIT_OK;
	if (!verb->table)
		return usage_error("-o takes 'table' or 'json' with ", verb->name);
	size_t count;
	const struct table_column *columns = columns_of(v, &count);
	return table_check(columns, count, v->columns);
}

static int print_reply(const struct invocation *v, const struct verb *verb, const json_t *reply)
{
	const json_t *data = json_object_get(reply, "data");
	int r = ctl_check(reply);

	if (v->json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (r == EXIT_OK) {
		r = verb->print(v, data);
	}
	if (r == EXIT_OK && verb->is_yes && !verb->is_yes(data))
		return EXIT_NEGATIVE;
	return r;
}

static int run(const struct invocation *v, const struct verb *verb)
{
	json_t *reply = NULL;
	int r = check_columns(v, verb);

	if (r != EXIT_OK)
		return r;
	json_t *request = verb->request(v);
	if (!request)
		return usage_error("wrong arguments for ", verb->name);
	r = verb->confirm ? verb->confirm(v) : EXIT_OK;
	if (r == EXIT_OK)
		r = ctl_call(v->socket, request, &reply);
	if (r == EXIT_OK)
		r = print_reply(v, verb, reply);
	json_decref(request);
	json_decref(reply);
	if (fflush(stdout) != 0) {
		perror("jeebsctl: standard output");
		return EXIT_NEGATIVE;
	}
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, 's'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct invocation v = {.socket = DEFAULT_SOCKET};
	int option;

	while ((option = getopt_long(argc, argv, "s:o:hV", options, NULL)) != -1) {
		switch (option) {
		case 's':
			v.socket = optarg;
			break;
		case 'o':
			v.json = strcmp(optarg, "json") == 0;
			v.columns = v.json || strcmp(optarg, "table") == 0 ? NULL : optarg;
			break;
		case 'h':
			print_help();
			return EXIT_OK;
		case 'V':
			printf("jeebsctl %s\n", JEEBS_VERSION);
			return EXIT_OK;
		default:
			return EXIT_USAGE; /* getopt has printed the error */
		}
	}
	if (optind == argc)
		return usage_error("a verb is missing", "");
	const struct verb *verb = find_verb(argv[optind]);
	if (!verb)
		return usage_error("no verb ", argv[optind]);
	v.arguments = argv + optind + 1;
	v.count = argc - optind - 1;
	return run(&v, verb);
}
