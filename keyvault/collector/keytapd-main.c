/* SPDX-License-Identifier: GPL-3.0-or-later */
/* jeebs-keytapd: arguments, limits and exit codes; no logic. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/log.h"
#include "keytapd.h"
#include "keyvault/settings/settings.h"

#define SECURE_HEAP_BYTES ((size_t)4 << 20) /* a batch of the largest records, and epochs */
#define QUEUE_DEFAULT_MIB 64
#define DESCRIPTORS       (PEERS_MAX + 64)

static const char usage_text[] =
	"Usage: jeebs-keytapd --dir DIR --vault ADDRESS:PORT --socket PATH [OPTION...]\n"
	"       jeebs-keytapd -c FILE [OPTION...]\n"
	"\n"
	"Takes the keys of sessions from the taps in this machine's servers, seals them to the\n"
	"recovery identity and brings them to the vaults.\n"
	"\n"
	"      --dir DIR          origins/NAME of the vault's directory\n"
	"      --vault ADDRESS:PORT  up to 8 times\n"
	"      --socket PATH      where taps connect (JEEBS_KEYTAP)\n"
	"      --socket-mode OCTAL   of it (default 600)\n"
	"      --store any|all    how many vaults have to acknowledge a record (default any)\n"
	"      --wait-ms N        for how long a handshake waits for that (default 50)\n"
	"      --on-vault-loss open|closed\n"
	"                         what becomes of a handshake then: it goes on (default), or "
	"fails\n"
	"      --queue MIB        ceiling of what is not yet acknowledged (default 64)\n"
	"      --metrics-file PATH   numbers for the node exporter's textfile collector\n"
	"      --metrics ADDRESS:PORT  /metrics for Prometheus, /readyz in one line\n"
	"  -c, --config FILE      options by their names in a YAML file; those behind it win\n"
	"  -d, --debug            log more\n"
	"  -h, --help, --version\n"
	"\n"
	"SIGHUP reads DIR again, SIGUSR1 logs how it is.\n"
	"Exit codes: 0 ended by a signal; 64 usage; 66 FILE cannot be read; 69 cannot start; 78 "
	"FILE is\n"
	"wrong. See jeebs-keytapd(8).\n";

static int usage(FILE *to, int code)
{
	fputs(usage_text, to);
	return code;
}

/* One of two words. */
static bool parse_choice(const char *text, const char *no, const char *yes, bool *ret)
{
	*ret = strcmp(text, yes) == 0;
	return *ret || strcmp(text, no) == 0;
}

enum {
	OPT_DIR = 256,
	OPT_VAULT,
	OPT_SOCKET,
	OPT_SOCKET_MODE,
	OPT_STORE,
	OPT_WAIT,
	OPT_LOSS,
	OPT_QUEUE,
	OPT_METRICS_FILE,
	OPT_METRICS,
};

static const struct option options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"vault", required_argument, NULL, OPT_VAULT},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"socket-mode", required_argument, NULL, OPT_SOCKET_MODE},
	{"store", required_argument, NULL, OPT_STORE},
	{"wait-ms", required_argument, NULL, OPT_WAIT},
	{"on-vault-loss", required_argument, NULL, OPT_LOSS},
	{"queue", required_argument, NULL, OPT_QUEUE},
	{"metrics-file", required_argument, NULL, OPT_METRICS_FILE},
	{"metrics", required_argument, NULL, OPT_METRICS},
	{"config", required_argument, NULL, 'c'},
	{"debug", no_argument, NULL, 'd'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{0},
};

static const char *add_vault(struct keytapd_config *c, const char *value)
{
	if (c->collector.vaults == COLLECTOR_VAULTS_MAX)
		return "more than 8 vaults";
	if (endpoint_parse(value, false, &c->vault[c->collector.vaults]) < 0)
		return "no ADDRESS:PORT";
	c->collector.vaults++;
	return NULL;
}

/* NULL, or what is wrong. */
static const char *take_option(void *ctx, int option, const char *value)
{
	struct keytapd_config *c = ctx;
	uint64_t v = 0;

	switch (option) {
	case OPT_DIR:
		c->dir = value;
		return NULL;
	case OPT_VAULT:
		return add_vault(c, value);
	case OPT_SOCKET:
		c->socket = value;
		return NULL;
	case OPT_SOCKET_MODE:
		if (!settings_number(value, 8, 0777, &v))
			return "no mode in octal";
		c->socket_mode = (mode_t)v;
		return NULL;
	case OPT_STORE:
		return parse_choice(value, "any", "all", &c->collector.store_all) ? NULL
										  : "any or all";
	case OPT_WAIT:
		if (!settings_number(value, 10, TAP_WAIT_MAX_MS, &v))
			return "no number of milliseconds up to 10000";
		c->collector.wait_ms = (uint32_t)v;
		return NULL;
	case OPT_LOSS:
		return parse_choice(value, "open", "closed", &c->collector.closed)
			       ? NULL
			       : "open or closed";
	case OPT_QUEUE:
		if (!settings_number(value, 10, 1 << 20, &v) || v == 0)
			return "no number of MiB";
		c->collector.queue_bytes = (size_t)v << 20;
		return NULL;
	case OPT_METRICS_FILE:
		c->metrics_file = value;
		return NULL;
	case OPT_METRICS:
		return endpoint_parse(value, false, &c->metrics) < 0 ? "no ADDRESS:PORT" : NULL;
	}
	return "unknown";
}

/* No memory of this process is to be read by others, dumped, or written to disk. */
static int confine(void)
{
	struct rlimit none = {0, 0}, files;

	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < DESCRIPTORS) {
		files.rlim_cur = files.rlim_max < DESCRIPTORS ? files.rlim_max : DESCRIPTORS;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	int r = seal_secure_heap(SECURE_HEAP_BYTES);
	if (r == 0 && mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		r = -errno;
	return r;
}

static int run(const struct keytapd_config *c)
{
	char error[512] = "";
	int r = confine();

	if (r < 0)
		snprintf(error, sizeof error, "memory cannot be locked (LimitMEMLOCK=): %s",
			 log_strerror(r));
	else
		r = keytapd_run(c, error, sizeof error);
	if (r == 0)
		return 0;
	log_event(LOG_ERROR, "collector-ends",
		  LOG_STR("error", error[0] ? error : log_strerror(r)));
	return EX_UNAVAILABLE;
}

/* 0, or an exit code. */
static int read_settings(struct keytapd_config *c, const char *path, struct settings **ret)
{
	settings_free(*ret);
	*ret = NULL;
	int r = settings_read(path, options, take_option, c, stderr, ret);

	if (r < 0)
		fprintf(stderr, "jeebs-keytapd: %s: %s\n", path, log_strerror(r));
	return r == 0 ? 0 : r < 0 ? EX_NOINPUT : EX_CONFIG;
}

int main(int argc, char **argv)
{
	struct keytapd_config c = {
		.socket_mode = 0600,
		.collector = {.wait_ms = TAP_WAIT_DEFAULT_MS,
			      .queue_bytes = (size_t)QUEUE_DEFAULT_MIB << 20},
	};
	enum log_level level = LOG_INFO;
	struct settings *settings = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "c:dh", options, NULL)) != -1) {
		if (option == 'h')
			return usage(stdout, 0);
		if (option == 'V') {
			puts("jeebs-keytapd " JEEBS_VERSION);
			return 0;
		}
		if (option == '?')
			return usage(stderr, EX_USAGE);
		if (option == 'd') {
			level = LOG_DEBUG;
			continue;
		}
		if (option == 'c') {
			int code = read_settings(&c, optarg, &settings);
			if (code)
				return code;
			continue;
		}
		const char *wrong = take_option(&c, option, optarg);
		if (wrong) {
			fprintf(stderr, "jeebs-keytapd: '%s': %s\n", optarg, wrong);
			return EX_USAGE;
		}
	}
	if (!c.dir || !c.socket || c.collector.vaults == 0 || optind < argc)
		return usage(stderr, EX_USAGE);
	if (c.collector.closed && c.collector.wait_ms == 0) {
		fputs("jeebs-keytapd: closed needs a time to wait\n", stderr);
		return EX_USAGE;
	}
	log_init(LOG_FORMAT_TEXT, level);
	int code = run(&c);
	settings_free(settings);
	return code;
}
