/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "smtp.h"

#include <string.h>

static void smtp_close(void *state)
{
	struct smtp *s = state;

	/* It may contain a password. */
	explicit_bzero(s->login, sizeof s->login);
}

/* The greeting looks like that of FTP. Only the client's first word decides. */
uint32_t smtp_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	static const char greeting[] = "220";
	size_t n = to_client.n < 3 ? to_client.n : 3;

	if (memcmp(to_client.p ? to_client.p : (const uint8_t *)"", greeting, n) != 0)
		return JEEBS_DETECT_NO;
	if (to_client.n > 3 && to_client.p[3] != ' ' && to_client.p[3] != '-')
		return JEEBS_DETECT_NO;
	if (to_server.n == 0)
		return JEEBS_DETECT_MAYBE;
	if (to_server.n < 5) {
		char word[5] = {0};
		for (size_t i = 0; i < to_server.n; i++)
			word[i] = (char)(to_server.p[i] & ~0x20);
		return memcmp(word, "EHLO", to_server.n < 4 ? to_server.n : 4) == 0 ||
				       memcmp(word, "HELO", to_server.n < 4 ? to_server.n : 4) == 0
			       ? JEEBS_DETECT_MAYBE
			       : JEEBS_DETECT_NO;
	}
	enum smtp_unit u = smtp_command((struct jeebs_bytes){to_server.p, 5});
	if (to_server.p[4] != ' ' || (u != SMTP_UNIT_EHLO && u != SMTP_UNIT_HELO))
		return JEEBS_DETECT_NO;
	return to_client.n > 3 ? JEEBS_DETECT_YES : JEEBS_DETECT_MAYBE;
}

static const uint16_t tls_ports[] = {465, 0};
static const uint16_t ports[] = {25, 587, 0};

const struct jeebs_module smtp_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "smtp",
	.version = JEEBS_VERSION,
	.state_size = sizeof(struct smtp),
	.open = smtp_open,
	.data = smtp_data,
	.gap = smtp_gap,
	.fin = smtp_fin,
	.checkpoint = smtp_checkpoint,
	.restore = smtp_restore,
	.plan = smtp_plan,
	.resume = smtp_resume,
	.close = smtp_close,
	.detect = smtp_detect,
	.ports = ports,
	.upgrade = "tls:smtp",
	.tls_ports = tls_ports,
};

JEEBS_MODULE_EXPORT(smtp_module);
