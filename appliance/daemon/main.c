/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arguments and exit codes; no logic. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "daemon.h"
#include "drill/dry-run.h"
#include "failover/firewall-child.h"
#include "base/log.h"
#include "recovery-modules/host/module-host.h"
#include "capture/ring.h"
#include "services/services-check.h"
#include "tcprepair/tcprepair.h"

#define DEFAULT_CONFIG "/etc/jeebs/jeebs.yaml"

static const char usage_text[] =
	"Usage: jeebs-appliance [-c FILE] [-d]\n"
	"       jeebs-appliance [-c FILE] -t | --dump-config\n"
	"       jeebs-appliance --dry-run CAPTURE [--server ADDR[:PORT]|auto | -c FILE]\n"
	"                       [--fail-at TIME|packet:N|end|every[:N]] [-o json|table]\n"
	"\n"
	"  -c, --config FILE     configuration (default " DEFAULT_CONFIG ")\n"
	"  -t, --check-config    check it, print the computed detection bounds, end\n"
	"      --dump-config     print the effective configuration, defaults included\n"
	"  -d, --debug           log each connection's fate, and more\n"
	"  -n, --dry-run CAPTURE drill on a pcap or pcapng file; '-' is standard input\n"
	"      --server WHO      the protected server of a drill; auto (default): who answered\n"
	"                        SYNs most\n"
	"      --protocol NAME   module for all its ports (default: http on well-known ports)\n"
	"      --modules DIR     folder of the recovery modules\n"
	"      --fail-at WHEN    seconds after the first packet, packet:N, or end\n"
	"                        (default: the instant with most live connections);\n"
	"                        every, every:N: at each packet, or each N-th, and proved\n"
	"                        against what the real server went on to send\n"
	"      --horizon BYTES   how far behind each of these cuts (default 262144)\n"
	"      --keys FILE       TLS key log, besides what a pcapng file has itself\n"
	"  -o, --output FORMAT   of a drill: table (default) or json\n"
	"  -h, --help, --version\n"
	"\n"
	"Exit codes: 0 ok; of a drill: 0 all live connections would continue, 1 some would be\n"
	"refused, 2 one would get wrong bytes (every), 65 the capture is damaged, 66 it cannot be "
	"read; 64 usage; 69 cannot start;\n"
	"74 the output cannot be written; 78 configuration. See jeebs-appliance(8), "
	"jeebs.yaml(5).\n";

enum {
	OPT_DUMP = 256,
	OPT_SERVER,
	OPT_PROTOCOL,
	OPT_MODULES,
	OPT_FAIL_AT,
	OPT_HORIZON,
	OPT_KEYS,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check-config", no_argument, NULL, 't'},
	{"dump-config", no_argument, NULL, OPT_DUMP},
	{"debug", no_argument, NULL, 'd'},
	{"dry-run", required_argument, NULL, 'n'},
	{"server", required_argument, NULL, OPT_SERVER},
	{"protocol", required_argument, NULL, OPT_PROTOCOL},
	{"modules", required_argument, NULL, OPT_MODULES},
	{"fail-at", required_argument, NULL, OPT_FAIL_AT},
	{"horizon", required_argument, NULL, OPT_HORIZON},
	{"keys", required_argument, NULL, OPT_KEYS},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{0},
};

struct arguments {
	const char *config_path;
	bool check, dump, debug, dry;
	bool done;              /* --help or --version: nothing is left to do */
	const char *only_drill; /* name of an option that only the drill understands */
	struct dry_run_options drill;
};

static int usage_error(const char *what, const char *value)
{
	fprintf(stderr, "jeebs-appliance: %s: %s\nTry 'jeebs-appliance --help'.\n", what, value);
	return EX_USAGE;
}

static const char *option_name(int opt)
{
	const struct option *o = long_options;

	while (o->val != opt)
		o++;
	return o->name;
}

/* An option that only the drill understands. */
static int take_drill_option(int opt, struct dry_run_options *d)
{
	switch (opt) {
	case OPT_SERVER:
		d->server_auto = strcmp(optarg, "auto") == 0;
		if (!d->server_auto && endpoint_parse(optarg, true, &d->server) < 0)
			return usage_error("not an address or ADDRESS:PORT", optarg);
		return 0;
	case OPT_PROTOCOL:
		d->protocol = optarg;
		return 0;
	case OPT_MODULES:
		d->modules_dir = optarg;
		return 0;
	case OPT_FAIL_AT:
		if (dry_run_parse_cut(optarg, d) < 0)
			return usage_error("not a time, packet:N, end, every or every:N", optarg);
		return 0;
	case OPT_HORIZON:
		if (dry_run_parse_horizon(optarg, d) < 0)
			return usage_error("not a number of bytes, 1 to 1073741824", optarg);
		return 0;
	case OPT_KEYS:
		d->keys = optarg;
		return 0;
	case 'o':
		d->json = strcmp(optarg, "json") == 0;
		if (!d->json && strcmp(optarg, "table") != 0)
			return usage_error("not a format (table, json)", optarg);
		return 0;
	default:
		return 0;
	}
}

static int take_option(int opt, struct arguments *a)
{
	switch (opt) {
	case 'c':
		a->config_path = optarg;
		return 0;
	case 't':
		a->check = true;
		return 0;
	case OPT_DUMP:
		a->dump = true;
		return 0;
	case 'd':
		a->debug = true;
		return 0;
	case 'n':
		a->dry = true;
		a->drill.path = optarg;
		return 0;
	case 'h':
		fputs(usage_text, stdout);
		a->done = true;
		return 0;
	case OPT_VERSION:
		puts("jeebs-appliance " JEEBS_VERSION);
		a->done = true;
		return 0;
	case OPT_SERVER:
	case OPT_PROTOCOL:
	case OPT_MODULES:
	case OPT_FAIL_AT:
	case OPT_HORIZON:
	case OPT_KEYS:
	case 'o':
		a->only_drill = option_name(opt);
		return take_drill_option(opt, &a->drill);
	default:
		fputs("Try 'jeebs-appliance --help'.\n", stderr);
		return EX_USAGE;
	}
}

/* @check: what is on this host is looked at too. */
static int load(const char *path, bool check, struct config **ret)
{
	struct module_host *host = NULL;
	const struct config_checks checks = {services_check, &host, daemon_keys_check,
					     daemon_backup_check, daemon_ssh_check};
	int r = config_load_checked(path, check ? &checks : NULL, stderr, ret);

	module_host_free(host);
	if (r < 0) {
		fprintf(stderr, "jeebs-appliance: %s: %s\n", path, log_strerror(r));
		return EX_CONFIG;
	}
	return r == CONFIG_OK ? 0 : EX_CONFIG;
}

/* Only on the host with the interfaces: the file may be meant for another host. */
static void check_mtu_probing(const struct config *c)
{
	bool here = false, probes = true;

	for (uint32_t i = 0; i < c->server_count; i++)
		here = here || if_nametoindex(c->servers[i].interface) != 0;
	if (here && restore_probes_mtu(&probes) == 0 && !probes)
		fputs("mtu-probing-off: sysctl net.ipv4.tcp_mtu_probing is 0: a connection may "
		      "hang where its path takes less than the client offered\n",
		      stderr);
}

static double keeps_s(const struct config *c, uint64_t bytes_per_s)
{
	return (double)ring_keeps_ns(c->ring_bytes, bytes_per_s) / (double)NS_PER_S;
}

static int check_config(const struct config *c, const char *path)
{
	char bound[32];

	for (uint32_t i = 0; i < c->server_count; i++) {
		const struct config_server *s = &c->servers[i];
		config_format_duration(config_detection_bound_ns(&s->health), bound, sizeof bound);
		printf("%s: death is noticed within %s\n", s->name, bound);
	}
	printf("capture.ring: what a stopped thread does not read is kept for %.2f s at 1 MB/s, "
	       "%.2f s at 10 MB/s, %.2f s at 100 MB/s, at least\n",
	       keeps_s(c, 1000000), keeps_s(c, 10000000), keeps_s(c, 100000000));
	firewall_check(c, stderr);
	check_mtu_probing(c);
	printf("%s: ok\n", path);
	return 0;
}

/*
 * The modules' folder: for a program in its build tree, the folder of the build; else that of the
 * installation.
 */
static const char *usual_modules(char built[static PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *name;

	self[n > 0 ? n : 0] = 0;
	for (int up = 0; up < 2; up++) {
		name = strrchr(self, '/');
		if (!name)
			return JEEBS_MODULES_DIR;
		*name = 0;
	}
	n = snprintf(built, PATH_MAX, "%s/build.ninja", self);
	if (n >= PATH_MAX || access(built, F_OK) < 0)
		return JEEBS_MODULES_DIR;
	n = snprintf(built, PATH_MAX, "%s/recovery-modules", self);
	return n < PATH_MAX ? built : JEEBS_MODULES_DIR;
}

static int drill(struct arguments *a)
{
	char built[PATH_MAX];
	struct config *c = NULL;
	bool by_server = a->drill.server_auto || a->drill.server.addr.family != NETADDR_NONE;

	if (by_server && a->config_path)
		return usage_error("--dry-run", "takes --server or --config, not both");
	a->drill.server_auto = a->drill.server_auto || (!by_server && !a->config_path);
	if (a->config_path) {
		int code = load(a->config_path, false, &c);
		if (code)
			return code;
		a->drill.config = c;
		if (!a->drill.modules_dir)
			a->drill.modules_dir = c->modules_dir;
	}
	if (!a->drill.modules_dir)
		a->drill.modules_dir = usual_modules(built);
	int code = dry_run(&a->drill, stdout, stderr);
	config_free(c);
	return code;
}

static int serve(const struct arguments *a)
{
	const char *path = a->config_path ? a->config_path : DEFAULT_CONFIG;
	struct config *c;
	/* A dump shows the text alone: the modules and programs may be on another host. */
	int code = load(path, !a->dump || a->check, &c);

	if (code)
		return code;
	if (a->check) {
		code = check_config(c, path);
	} else if (a->dump) {
		config_dump(c, stdout);
	} else {
		log_init(c->log, a->debug ? LOG_DEBUG : LOG_INFO);
		code = daemon_run(c);
	}
	config_free(c);
	return code;
}

/* Whoever reads a part of the output must not take it for the whole. */
static int output_written(int code)
{
	if (code || (fflush(stdout) == 0 && !ferror(stdout)))
		return code;
	fprintf(stderr, "jeebs-appliance: the output cannot be written\n");
	return EX_IOERR;
}

int main(int argc, char **argv)
{
	struct arguments a = {0};
	int opt;

	if (firewall_child_is(argc, argv))
		return firewall_child_main(argv);
	while ((opt = getopt_long(argc, argv, "c:tdn:o:h", long_options, NULL)) != -1) {
		int code = take_option(opt, &a);
		if (code || a.done)
			return code ? code : output_written(0);
	}
	if (optind < argc)
		return usage_error("unexpected argument", argv[optind]);
	if (a.only_drill && !a.dry) {
		char name[32];
		snprintf(name, sizeof name, "--%s", a.only_drill);
		return usage_error("makes sense with --dry-run only", name);
	}
	return output_written(a.dry ? drill(&a) : serve(&a));
}
