/* SPDX-License-Identifier: GPL-3.0-or-later */
/* jeebs-keyvault: arguments and exit codes; no logic. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"
#include "keyvault/seal/authority.h"
#include "keyvault/seal/identity.h"
#include "keyvault/settings/settings.h"
#include "vault-audit.h"
#include "vault-server.h"

static const char usage_text[] =
	"Usage: jeebs-keyvault init DIR\n"
	"       jeebs-keyvault add-origin DIR NAME ADDRESS...\n"
	"       jeebs-keyvault add-recovery DIR NAME\n"
	"       jeebs-keyvault revoke DIR WHO\n"
	"       jeebs-keyvault rotate DIR WHO\n"
	"       jeebs-keyvault audit DIR\n"
	"       jeebs-keyvault verify DIR\n"
	"       jeebs-keyvault serve --dir DIR --listen ADDRESS:PORT [OPTION...]\n"
	"       jeebs-keyvault serve -c FILE [OPTION...]\n"
	"\n"
	"init makes DIR: a small CA, the vault's and the recovery identity. add-origin makes\n"
	"DIR/origins/NAME, all that goes to that server. WHO: vault, recovery, recovery:NAME,\n"
	"an origin's name, or (revoke) a serial number of DIR/index.\n"
	"audit prints who has had what, verify says whether that is all of it.\n"
	"\n"
	"      --dir DIR          what init has made\n"
	"      --listen ADDRESS:PORT\n"
	"      --size MIB         ceiling of the store (default 1024)\n"
	"      --origin-records N ceiling of one origin (default 100000)\n"
	"      --keep HOURS       how long a record is kept at most (default 168)\n"
	"      --metrics ADDRESS:PORT  /metrics for Prometheus, /readyz in one line\n"
	"  -c, --config FILE      options by their names in a YAML file; those behind it win\n"
	"  -d, --debug            log more\n"
	"  -h, --help, --version\n"
	"\n"
	"Exit codes: 0 ok; 1 verify: something is missing or changed; 64 usage; 66 DIR cannot be\n"
	"or FILE cannot be read; 69 cannot start; 73 cannot be made; 74 output; 78 FILE is wrong.\n"
	"See jeebs-keyvault(8).\n";

static int usage(FILE *to, int code)
{
	fputs(usage_text, to);
	return code;
}

static struct authority authority_of(const char *dir)
{
	return (struct authority){.dir = dir, .now_ns = clock_real_ns()};
}

static int made(int r, const char *error)
{
	if (r == 0)
		return 0;
	fprintf(stderr, "jeebs-keyvault: %s\n", error[0] ? error : log_strerror(r));
	return EX_CANTCREAT;
}

/* Each command has its arguments from behind its name on. */

static int do_init(int n, char **arg)
{
	char error[512] = "";
	struct authority a = authority_of(arg[0]);

	return made(authority_init(&a, error, sizeof error), error);
}

static int do_add_origin(int n, char **arg)
{
	struct netaddr address[IDENTITY_ADDRESSES_MAX];
	char error[512] = "";
	struct authority a = authority_of(arg[0]);

	if (n - 2 > IDENTITY_ADDRESSES_MAX) {
		fprintf(stderr, "jeebs-keyvault: more than %d addresses\n", IDENTITY_ADDRESSES_MAX);
		return EX_USAGE;
	}
	for (int i = 2; i < n; i++) {
		if (netaddr_parse(arg[i], &address[i - 2]) < 0) {
			fprintf(stderr, "jeebs-keyvault: '%s' is no address\n", arg[i]);
			return EX_USAGE;
		}
	}
	return made(authority_add_origin(&a, arg[1], address, (size_t)(n - 2), error, sizeof error),
		    error);
}

static int do_add_recovery(int n, char **arg)
{
	char error[512] = "";
	struct authority a = authority_of(arg[0]);

	return made(authority_add_recovery(&a, arg[1], error, sizeof error), error);
}

static int do_revoke(int n, char **arg)
{
	char error[512] = "";
	struct authority a = authority_of(arg[0]);

	return made(authority_revoke(&a, arg[1], error, sizeof error), error);
}

static int do_rotate(int n, char **arg)
{
	char error[512] = "";
	struct authority a = authority_of(arg[0]);

	return made(authority_rotate(&a, arg[1], error, sizeof error), error);
}

static int do_verify(int n, char **arg)
{
	uint64_t line = 0;
	int r = vault_audit_verify(arg[0], &line);

	switch (r) {
	case AUDIT_WHOLE:
		printf("audit.log: %" PRIu64 " lines, whole\n", line);
		return 0;
	case AUDIT_BROKEN:
		printf("audit.log: line %" PRIu64 " does not follow from those before it\n", line);
		return 1;
	case AUDIT_SHORT:
		printf("audit.log: lines are missing behind line %" PRIu64 "\n", line);
		return 1;
	}
	fprintf(stderr, "jeebs-keyvault: %s: %s\n", arg[0], log_strerror(r));
	return EX_NOINPUT;
}

static int do_audit(int n, char **arg)
{
	char path[4096], buffer[8192];
	size_t got;

	snprintf(path, sizeof path, "%s/audit.log", arg[0]);
	FILE *f = fopen(path, "r");
	if (f) {
		while ((got = fread(buffer, 1, sizeof buffer, f)) > 0)
			fwrite(buffer, 1, got, stdout);
		fclose(f);
	} else if (errno != ENOENT) {
		fprintf(stderr, "jeebs-keyvault: %s: %s\n", path, log_strerror(-errno));
		return EX_NOINPUT;
	}
	return fflush(stdout) == 0 ? 0 : EX_IOERR;
}

/* Of nothing there is no use. */
static bool parse_amount(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t v;

	if (!settings_number(text, 10, max, &v) || v == 0)
		return false;
	*ret = v;
	return true;
}

enum {
	OPT_DIR = 256,
	OPT_LISTEN,
	OPT_SIZE,
	OPT_RECORDS,
	OPT_KEEP,
	OPT_METRICS,
};

/* 0, or what is wrong. */
static const char *serve_option(void *ctx, int option, const char *value)
{
	struct vault_server_config *c = ctx;
	uint64_t v;

	switch (option) {
	case OPT_DIR:
		c->dir = value;
		return NULL;
	case OPT_LISTEN:
		return endpoint_parse(value, false, &c->listen) < 0 ? "no ADDRESS:PORT" : NULL;
	case OPT_SIZE:
		if (!parse_amount(value, 1 << 20, &v))
			return "no number of MiB";
		c->store.size_bytes = v << 20;
		return NULL;
	case OPT_RECORDS:
		return parse_amount(value, UINT32_MAX, &c->store.origin_records) ? NULL
										 : "no number";
	case OPT_KEEP:
		if (!parse_amount(value, 24 * 366, &v))
			return "no number of hours";
		c->store.keep_ns = (int64_t)v * 3600 * NS_PER_S;
		return NULL;
	case OPT_METRICS:
		return endpoint_parse(value, false, &c->metrics) < 0 ? "no ADDRESS:PORT" : NULL;
	}
	return "unknown";
}

static int run_server(struct vault_server_config *c)
{
	char error[512] = "";

	/* One origin cannot fill the store alone. */
	c->store.origin_bytes = c->store.size_bytes / 2;
	int r = vault_server_run(c, error, sizeof error);
	if (r == 0)
		return 0;
	log_event(LOG_ERROR, "vault-ends", LOG_STR("error", error));
	return EX_UNAVAILABLE;
}

static const struct option serve_options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"size", required_argument, NULL, OPT_SIZE},
	{"origin-records", required_argument, NULL, OPT_RECORDS},
	{"keep", required_argument, NULL, OPT_KEEP},
	{"metrics", required_argument, NULL, OPT_METRICS},
	{"config", required_argument, NULL, 'c'},
	{"debug", no_argument, NULL, 'd'},
	{0},
};

/* 0, or an exit code. */
static int read_settings(struct vault_server_config *c, const char *path, struct settings **ret)
{
	settings_free(*ret);
	*ret = NULL;
	int r = settings_read(path, serve_options, serve_option, c, stderr, ret);

	if (r < 0)
		fprintf(stderr, "jeebs-keyvault: %s: %s\n", path, log_strerror(r));
	return r == 0 ? 0 : r < 0 ? EX_NOINPUT : EX_CONFIG;
}

static int do_serve(int argc, char **argv)
{
	struct vault_server_config c = {
		.store = {.size_bytes = (uint64_t)1 << 30,
			  .origin_records = 100000,
			  .keep_ns = INT64_C(168) * 3600 * NS_PER_S},
	};
	enum log_level level = LOG_INFO;
	struct settings *settings = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "c:d", serve_options, NULL)) != -1) {
		if (option == 'd') {
			level = LOG_DEBUG;
			continue;
		}
		if (option == '?')
			return usage(stderr, EX_USAGE);
		if (option == 'c') {
			int code = read_settings(&c, optarg, &settings);
			if (code)
				return code;
			continue;
		}
		const char *wrong = serve_option(&c, option, optarg);
		if (wrong) {
			fprintf(stderr, "jeebs-keyvault: '%s': %s\n", optarg, wrong);
			return EX_USAGE;
		}
	}
	if (!c.dir || !c.listen.port || optind < argc)
		return usage(stderr, EX_USAGE);
	log_init(LOG_FORMAT_TEXT, level);
	int code = run_server(&c);
	settings_free(settings);
	return code;
}

static const struct command {
	const char *name;
	int least, most; /* arguments */
	int (*run)(int n, char **arg);
} commands[] = {
	{"init", 1, 1, do_init},
	{"add-origin", 3, 1000, do_add_origin},
	{"add-recovery", 2, 2, do_add_recovery},
	{"revoke", 2, 2, do_revoke},
	{"rotate", 2, 2, do_rotate},
	{"audit", 1, 1, do_audit},
	{"verify", 1, 1, do_verify},
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, EX_USAGE);
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)
		return usage(stdout, 0);
	if (strcmp(argv[1], "--version") == 0) {
		puts("jeebs-keyvault " JEEBS_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "serve") == 0)
		return do_serve(argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		const struct command *c = &commands[i];
		if (strcmp(argv[1], c->name) != 0)
			continue;
		if (argc - 2 < c->least || argc - 2 > c->most)
			return usage(stderr, EX_USAGE);
		return c->run(argc - 2, argv + 2);
	}
	return usage(stderr, EX_USAGE);
}
