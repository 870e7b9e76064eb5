/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ftp-command.h"

#include <arpa/inet.h>

#define IAC       0xffu
#define TELNET_SB 0xfau /* the commands below it have no option byte */
#define CHANGING  (FTP_IS_TRANSFER | FTP_IS_UPLOAD | FTP_IS_CHANGE)

struct verb {
	char name[5];
	uint8_t verb;
	uint8_t flags;
};

static const struct verb verbs[] = {
	{"USER", FTP_USER, 0},
	{"PASS", FTP_PASS, 0},
	{"ACCT", FTP_ACCT, 0},
	{"REIN", FTP_REIN, 0},
	{"QUIT", FTP_QUIT, 0},
	{"CWD", FTP_CWD, 0},
	{"XCWD", FTP_CWD, 0},
	{"CDUP", FTP_CDUP, 0},
	{"XCUP", FTP_CDUP, 0},
	{"PWD", FTP_PWD, FTP_IS_EXACT},
	{"XPWD", FTP_PWD, FTP_IS_EXACT},
	{"TYPE", FTP_TYPE, 0},
	{"MODE", FTP_MODE, 0},
	{"STRU", FTP_STRU, 0},
	{"OPTS", FTP_OPTS, 0},
	{"REST", FTP_REST, 0},
	{"RNFR", FTP_RNFR, 0},
	{"RNTO", FTP_RNTO, FTP_IS_CHANGE},
	{"PASV", FTP_PASV, FTP_IS_EXACT},
	{"EPSV", FTP_EPSV, FTP_IS_EXACT},
	{"PORT", FTP_PORT, 0},
	{"EPRT", FTP_EPRT, 0},
	{"RETR", FTP_RETR, FTP_IS_TRANSFER | FTP_IS_DOWNLOAD},
	{"STOR", FTP_STOR, FTP_IS_TRANSFER | FTP_IS_UPLOAD},
	{"APPE", FTP_APPE, CHANGING},
	{"STOU", FTP_STOU, CHANGING | FTP_IS_EXACT},
	{"LIST", FTP_LIST, FTP_IS_TRANSFER | FTP_IS_LISTING},
	{"NLST", FTP_NLST, FTP_IS_TRANSFER | FTP_IS_LISTING},
	{"MLSD", FTP_MLSD, FTP_IS_TRANSFER | FTP_IS_LISTING},
	{"MLST", FTP_MLST, FTP_IS_EXACT},
	{"SIZE", FTP_SIZE, FTP_IS_EXACT},
	{"MDTM", FTP_MDTM, FTP_IS_EXACT},
	{"ABOR", FTP_ABOR, 0},
	{"AUTH", FTP_AUTH, FTP_IS_EXACT},
	{"HOST", FTP_HOST, 0},
	{"FEAT", FTP_FEAT, FTP_IS_EXACT},
	{"STAT", FTP_STAT, FTP_IS_EXACT},
	{"DELE", FTP_DELE, FTP_IS_CHANGE},
	{"RMD", FTP_RMD, FTP_IS_CHANGE},
	{"XRMD", FTP_RMD, FTP_IS_CHANGE},
	{"MKD", FTP_MKD, FTP_IS_CHANGE | FTP_IS_EXACT},
	{"XMKD", FTP_MKD, FTP_IS_CHANGE | FTP_IS_EXACT},
	{"SITE", FTP_SITE, FTP_IS_CHANGE},
	{"LANG", FTP_LANG, 0},
	{"CLNT", FTP_CLNT, 0},
	{"LPRT", FTP_LPRT, 0},
	{"LPSV", FTP_LPSV, FTP_IS_EXACT},
	{"SYST", FTP_SYST, 0},
	{"NOOP", FTP_NOOP, 0},
	{"PBSZ", FTP_PBSZ, 0},
	{"PROT", FTP_PROT, 0},
	{"CCC", FTP_CCC, 0},
};

unsigned ftp_verb_flags(uint8_t verb)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (verbs[i].verb == verb)
			return verbs[i].flags;
	}
	/* An unknown command may have any effect. */
	return verb == FTP_OTHER ? FTP_IS_CHANGE | FTP_IS_EXACT : 0;
}

static uint8_t verb_of(struct bytes name)
{
	/* Words that are not verbs, as in other protocols, are mostly excluded by their first
	 * letter. */
	uint8_t first = name.n > 0 ? name.p[0] & 0xdf : 0;

	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (verbs[i].name[0] == first && ftp_text_is(name, bytes_str(verbs[i].name)))
			return verbs[i].verb;
	}
	return FTP_OTHER;
}

void ftp_command_of(struct bytes line, struct ftp_command *ret)
{
	const uint8_t *space = line.n ? memchr(line.p, ' ', line.n) : NULL;
	size_t n = space ? (size_t)(space - line.p) : line.n;

	ret->line = line;
	ret->verb = verb_of(bytes_head(line, n));
	ret->arg = bytes_from(line, n + 1);
}

/*
 * Removes Telnet's commands, which are not part of the line (RFC 959 section 4.1.3: IP and Synch
 * before ABOR).
 */
static size_t without_telnet(uint8_t *p, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != IAC) {
			p[to++] = p[i];
			continue;
		}
		if (++i >= n)
			break;
		if (p[i] == IAC)
			p[to++] = IAC;
		else if (p[i] > TELNET_SB)
			i++; /* WILL, WONT, DO, DONT and the option */
	}
	return to;
}

void ftp_command_read(uint8_t *line, size_t n, struct ftp_command *ret)
{
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		n--;
	ftp_command_of(bytes_of(line, without_telnet(line, n)), ret);
}

#define WORD_MAX 12 /* XSHA512 and others have more letters than RFC 959 allows */

static bool letter(uint8_t c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* The end of the word at the start of the line; 0: there is none. */
static size_t first_word(struct bytes line)
{
	size_t n = 0;

	while (n < line.n && n <= WORD_MAX &&
	       (letter(line.p[n]) || (n > 0 && line.p[n] >= '0' && line.p[n] <= '9')))
		n++;
	bool ends = n == line.n || line.p[n] == ' ' || line.p[n] == '\r' || line.p[n] == '\n';
	return ends && n <= WORD_MAX ? n : 0;
}

/*
 * Whether the word begins a mail session, whose servers greet like FTP servers (RFC 5321, 2033,
 * 3207).
 */
static bool mails_word(struct bytes word)
{
	static const char *const words[] = {"HELO", "EHLO", "LHLO", "RCPT", "BDAT", "STARTTLS"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (ftp_text_is(word, bytes_str(words[i])))
			return true;
	}
	return false;
}

static bool ends_as_http(struct bytes line)
{
	static const char version[] = " HTTP/1.";
	size_t n = sizeof version - 1;

	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	return line.n > n && memcmp(line.p + line.n - n - 1, version, n) == 0;
}

/* Length of the Telnet command at @at; 0: there is none. */
static size_t telnet_at(struct bytes b, size_t at)
{
	if (b.p[at] != IAC)
		return 0;
	return at + 1 < b.n && b.p[at + 1] > TELNET_SB && b.p[at + 1] != IAC ? 3 : 2;
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool ftp_command_possible(struct bytes line)
{
	size_t begin = 0, n;

	for (size_t i = 0; i < line.n; i += (n = telnet_at(line, i)) ? n : 1) {
		if (line.p[i] < ' ' && !blank(line.p[i]))
			return false;
	}
	/* People type blanks before a command. */
	while (begin < line.n && ((n = telnet_at(line, begin)) || blank(line.p[begin])))
		begin += n ? n : 1;
	line = bytes_from(line, begin);
	n = first_word(line);
	return line.n == 0 || (n > 0 && !mails_word(bytes_head(line, n)) && !ends_as_http(line));
}

/* Parses a number of at most @max. *io_at moves behind it. */
static bool number(struct bytes b, size_t *io_at, uint32_t max, uint32_t *ret)
{
	size_t at = *io_at;
	uint32_t v = 0;

	while (at < b.n && b.p[at] >= '0' && b.p[at] <= '9') {
		v = v * 10 + (uint32_t)(b.p[at] - '0');
		if (v > max)
			return false;
		at++;
	}
	if (at == *io_at)
		return false;
	*io_at = at;
	*ret = v;
	return true;
}

/* Parses h1,h2,h3,h4,p1,p2 (RFC 959 section 5.3.2). */
static bool read_port(struct bytes b, struct jeebs_address *ret)
{
	uint32_t v[6];
	size_t at = 0;

	for (int i = 0; i < 6; i++) {
		if (i > 0 && (at >= b.n || b.p[at++] != ','))
			return false;
		if (!number(b, &at, 255, &v[i]))
			return false;
	}
	*ret = (struct jeebs_address){.family = 4, .port = (uint16_t)(v[4] << 8 | v[5])};
	for (int i = 0; i < 4; i++)
		ret->addr[i] = (uint8_t)v[i];
	return ret->port != 0;
}

/* Parses |family|address|port| with any delimiter (RFC 2428 section 2). */
static bool read_eprt(struct bytes b, struct jeebs_address *ret)
{
	char text[INET6_ADDRSTRLEN];
	size_t at = 1, n = 0;
	uint32_t family, port;

	if (b.n == 0 || !number(b, &at, 2, &family) || at >= b.n || b.p[at++] != b.p[0])
		return false;
	while (at < b.n && b.p[at] != b.p[0] && n + 1 < sizeof text)
		text[n++] = (char)b.p[at++];
	text[n] = 0;
	if (at >= b.n || b.p[at++] != b.p[0] || !number(b, &at, UINT16_MAX, &port) || port == 0 ||
	    at >= b.n || b.p[at] != b.p[0])
		return false;
	*ret = (struct jeebs_address){.family = family == 1 ? 4 : 6, .port = (uint16_t)port};
	return family > 0 && inet_pton(family == 1 ? AF_INET : AF_INET6, text, ret->addr) == 1;
}

bool ftp_command_address(const struct ftp_command *c, struct jeebs_address *ret)
{
	return c->verb == FTP_EPRT ? read_eprt(c->arg, ret) : read_port(c->arg, ret);
}
