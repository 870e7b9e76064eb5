/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define FILE_MAX 16384

static int fail(char *error, size_t error_size, const char *path, const char *why, int r)
{
	snprintf(error, error_size, "%s: %s", path, why);
	return r;
}

/* Only what can lie in a file of @cap bytes is a key. Returns its length, or a negative errno. */
static ssize_t read_all(int fd, uint8_t *out, size_t cap)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t r = read(fd, out + n, cap - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return (ssize_t)n;
		n += (size_t)r;
	}
	return -EFBIG;
}

static int read_key(int fd, const char *path, struct ssh_host_key **ret, char *error,
		    size_t error_size)
{
	uint8_t text[FILE_MAX];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(error, error_size, path, log_strerror(-errno), -errno);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077))
		return fail(error, error_size, path, "others than its owner may read it", -EPERM);
	ssize_t n = read_all(fd, text, sizeof text);
	int r = n < 0 ? (int)n : ssh_host_key_read(bytes_of(text, (size_t)n), ret);

	explicit_bzero(text, sizeof text);
	switch (r) {
	case SSH_HOST_KEY_OK:
		return 0;
	case SSH_HOST_KEY_MALFORMED:
		return fail(error, error_size, path, "no private key of OpenSSH", -EINVAL);
	case SSH_HOST_KEY_ENCRYPTED:
		return fail(error, error_size, path, "it has a passphrase", -EINVAL);
	case SSH_HOST_KEY_ALGORITHM:
		return fail(error, error_size, path, "a key of an unknown kind", -EINVAL);
	default:
		return fail(error, error_size, path, log_strerror(r), r);
	}
}

static int open_key(const char *path, struct ssh_host_key **ret, char *error, size_t error_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return fail(error, error_size, path, log_strerror(-errno), -errno);
	int r = read_key(fd, path, ret, error, error_size);

	close(fd);
	return r;
}

int keys_ssh_open(const struct keys_service *s, struct ssh_identity *ret, char *error,
		  size_t error_size)
{
	int r = 0;

	*ret = (struct ssh_identity){0};
	if (s->user_ca)
		r = open_key(s->user_ca, &ret->user_ca, error, error_size);
	for (uint32_t i = 0; r == 0 && i < s->host_keys_n && i < KEYS_HOST_KEYS_MAX; i++) {
		r = open_key(s->host_keys[i], &ret->host_key[i], error, error_size);
		ret->host_keys += r == 0;
	}
	if (r < 0)
		keys_ssh_close(ret);
	return r;
}

void keys_ssh_close(struct ssh_identity *id)
{
	for (uint32_t i = 0; i < id->host_keys; i++)
		ssh_host_key_free(id->host_key[i]);
	ssh_host_key_free(id->user_ca);
	*id = (struct ssh_identity){0};
}
