/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ftp.h"

static void ftp_close(void *state)
{
	(void)state; /* the state owns nothing */
}

#define YES JEEBS_DETECT_YES
#define NO  JEEBS_DETECT_NO

/* SMTP servers greet like FTP servers, but their clients begin with other commands. */
static bool first_command(uint8_t verb)
{
	switch (verb) {
	case FTP_USER:
	case FTP_AUTH:
	case FTP_FEAT:
	case FTP_HOST:
	case FTP_OPTS:
	case FTP_CLNT:
	case FTP_SYST:
	case FTP_ACCT:
	case FTP_LANG:
		return true;
	default:
		return false;
	}
}

static uint32_t ftp_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	static const char greeting[] = "220";
	uint8_t line[FTP_LINE_MAX];
	size_t n = to_client.n < 3 ? to_client.n : 3;
	struct ftp_command c;

	if (n > 0 && memcmp(to_client.p, greeting, n) != 0)
		return NO;
	if (to_server.n == 0)
		return to_client.n < FTP_LINE_MAX ? JEEBS_DETECT_MAYBE : NO;
	const uint8_t *end = memchr(to_server.p, '\n', to_server.n);
	if (!end)
		return to_server.n < FTP_LINE_MAX ? JEEBS_DETECT_MAYBE : NO;
	size_t line_n = (size_t)(end - to_server.p) + 1;
	if (line_n > sizeof line)
		return NO;
	memcpy(line, to_server.p, line_n);
	ftp_command_read(line, line_n, &c);
	if (!first_command(c.verb))
		return NO;
	return n == 3 ? YES : JEEBS_DETECT_MAYBE;
}

static const uint16_t ports[] = {21, 0}, tls_ports[] = {990, 0};
static const char *const alpn[] = {"ftp", NULL};

const struct jeebs_module ftp_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "ftp",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct ftp),
	.open = ftp_open,
	.data = ftp_data,
	.gap = ftp_gap,
	.fin = ftp_fin,
	.checkpoint = ftp_checkpoint,
	.restore = ftp_restore,
	.plan = ftp_plan,
	.resume = ftp_resume,
	.close = ftp_close,
	.detect = ftp_detect,
	.companion = "ftp-data",
	.ports = ports,
	.upgrade = "tls:ftp",
	.tls_ports = tls_ports,
	.alpn = alpn,
};

JEEBS_MODULE_EXPORT(ftp_module);
