/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * key-log: a line of the NSS key log format, as TLS libraries write them to SSLKEYLOGFILE and
 * captures have them in a decryption secrets block: LABEL, client random and secret, in hexadecimal
 * digits, a space between.
 */
#ifndef KEYVAULT_KEY_LOG_H
#define KEYVAULT_KEY_LOG_H

#include "session-keys.h"

struct key_log_line {
	enum tls_secret label;
	uint8_t client_random[TLS_RANDOM_BYTES];
	uint8_t secret[TLS_SECRET_MAX_BYTES];
	size_t n;
};

/*
 * Reads @line, without its end. False: it is no such line, or of a label that is not needed
 * (exporter, early data, later generations of traffic secrets). *ret is as secret as the line.
 */
bool key_log_read(struct bytes line, struct key_log_line *ret);

#endif
