/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * preload: the functions that a preloaded tap stands in front of. Those of OpenSSL carry the
 * version of OpenSSL 3 (preload.map), so that no other one is taken for it. Each does what the one
 * behind it does; the tap's part leaves no trace in results or in errno.
 *
 * Before this library's constructor has run, and the tap is off, calls go to the system directly.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "collector-link.h"
#include "raw-calls.h"
#include "ssh-tap.h"
#include "tap.h"
#include "tls-tap.h"

#define STANDS_IN __attribute__((visibility("default")))

/* ---- what is behind -------------------------------------------------------------------------- */

typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;

static struct {
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*readv)(int, const struct iovec *, int);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	int (*close)(int);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*close_range)(unsigned, unsigned, int);
} libc;

static struct {
	int (*init)(EVP_MD_CTX *, const EVP_MD *, ENGINE *);
	int (*update)(EVP_MD_CTX *, const void *, size_t);
	int (*final)(EVP_MD_CTX *, unsigned char *, unsigned *);
	int (*type)(const EVP_MD *);
} evp;

#define FIND(f, name) (*(void **)&(f) = dlsym(RTLD_NEXT, name))

static pthread_mutex_t evp_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool evp_found;

/* Also in a program whose module has brought OpenSSL after the constructor. */
static bool evp_is_there(void)
{
	if (atomic_load_explicit(&evp_found, memory_order_acquire))
		return true;
	pthread_mutex_lock(&evp_lock);
	if (atomic_load(&evp_found)) {
		pthread_mutex_unlock(&evp_lock);
		return true;
	}
	*(void **)&evp.init = libcrypto_function("EVP_DigestInit_ex");
	*(void **)&evp.update = libcrypto_function("EVP_DigestUpdate");
	*(void **)&evp.final = libcrypto_function("EVP_DigestFinal_ex");
	*(void **)&evp.type = libcrypto_function("EVP_MD_get_type");
	bool all = evp.init && evp.update && evp.final && evp.type;
	atomic_store_explicit(&evp_found, all, memory_order_release);
	pthread_mutex_unlock(&evp_lock);
	return all;
}

__attribute__((constructor)) static void begin(void)
{
	int error = errno;

	FIND(libc.read, "read");
	FIND(libc.readv, "readv");
	FIND(libc.recv, "recv");
	FIND(libc.recvfrom, "recvfrom");
	FIND(libc.recvmsg, "recvmsg");
	FIND(libc.close, "close");
	FIND(libc.dup, "dup");
	FIND(libc.dup2, "dup2");
	FIND(libc.dup3, "dup3");
	FIND(libc.close_range, "close_range");
	tap_begin(secure_getenv(TAP_PATH_VARIABLE), secure_getenv(TAP_CLOSED_VARIABLE) != NULL,
		  evp_is_there());
	errno = error;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method);
SSL_CTX *SSL_CTX_new_ex(OSSL_LIB_CTX *library, const char *query, const SSL_METHOD *method);
void SSL_CTX_set_keylog_callback(SSL_CTX *ctx, libssl_keylog *callback);
libssl_keylog *SSL_CTX_get_keylog_callback(const SSL_CTX *ctx);

/* In front of something that is no OpenSSL 3: it is called, and that is all. */
#define PASS_ON(name, ...)                                  \
	({                                                  \
		__typeof__(&name) next_;                    \
		*(void **)&next_ = dlsym(RTLD_NEXT, #name); \
		next_ ? next_(__VA_ARGS__) : NULL;          \
	})

STANDS_IN SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
	const struct libssl *s = libssl();
	SSL_CTX *ctx = s ? s->SSL_CTX_new(method) : PASS_ON(SSL_CTX_new, method);

	if (s && ctx)
		tls_tap_context(s, ctx);
	return ctx;
}

STANDS_IN SSL_CTX *SSL_CTX_new_ex(OSSL_LIB_CTX *library, const char *query,
				  const SSL_METHOD *method)
{
	const struct libssl *s = libssl();
	SSL_CTX *ctx = s ? s->SSL_CTX_new_ex(library, query, method)
			 : PASS_ON(SSL_CTX_new_ex, library, query, method);

	if (s && ctx)
		tls_tap_context(s, ctx);
	return ctx;
}

STANDS_IN void SSL_CTX_set_keylog_callback(SSL_CTX *ctx, libssl_keylog *callback)
{
	const struct libssl *s = libssl();
	void (*next)(SSL_CTX *, libssl_keylog *) = NULL;

	if (s && tls_tap_set_callback(s, ctx, callback))
		return;
	if (s)
		next = s->SSL_CTX_set_keylog_callback;
	else
		FIND(next, "SSL_CTX_set_keylog_callback");
	if (next)
		next(ctx, callback);
}

STANDS_IN libssl_keylog *SSL_CTX_get_keylog_callback(const SSL_CTX *ctx)
{
	const struct libssl *s = libssl();

	return s ? tls_tap_get_callback(s, ctx) : PASS_ON(SSL_CTX_get_keylog_callback, ctx);
}

/* ---- hexadecimal ------------------------------------------------------------------------------
 */

int __sprintf_chk(char *s, int flag, size_t size, const char *format, ...);
int __vsprintf_chk(char *s, int flag, size_t size, const char *format, va_list arguments);

/* One byte, as the key log has it; what else there is in @arguments is left there. */
static bool is_hex_byte(size_t size, const char *format, va_list arguments, unsigned *ret)
{
	va_list copy;

	if (size < 3 || strcmp(format, "%02x") != 0)
		return false;
	va_copy(copy, arguments);
	*ret = va_arg(copy, unsigned);
	va_end(copy);
	return *ret <= 0xff;
}

/*
 * OpenSSL 3.0 writes each byte of a key log line by a sprintf() of its own, some 400 of them for a
 * handshake: more than all else that the tap costs. What is written is the same.
 */
STANDS_IN int __sprintf_chk(char *s, int flag, size_t size, const char *format, ...)
{
	static const char digits[] = "0123456789abcdef";
	va_list arguments;
	unsigned v;
	int n = 2;

	va_start(arguments, format);
	if (is_hex_byte(size, format, arguments, &v)) {
		s[0] = digits[v >> 4];
		s[1] = digits[v & 15];
		s[2] = '\0';
	} else {
		n = __vsprintf_chk(s, flag, size, format, arguments);
	}
	va_end(arguments);
	return n;
}

/* ---- SSH ------------------------------------------------------------------------------------- */

int EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *engine);
int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *p, size_t n);
int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *digest, unsigned *bytes);

static __thread struct ssh_derivation derivation;

STANDS_IN int EVP_DigestInit_ex(EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *engine)
{
	if (!evp_is_there())
		return 0;
	if (ssh_tap_is_on()) {
		enum ssh_hash hash = type ? ssh_tap_hash(evp.type(type)) : (enum ssh_hash)0;
		ssh_derivation_begin(&derivation, hash ? ctx : NULL, hash);
	}
	return evp.init(ctx, type, engine);
}

STANDS_IN int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *p, size_t n)
{
	if (!evp_is_there())
		return 0;
	if (ssh_tap_is_on())
		ssh_derivation_part(&derivation, ctx, bytes_of(p, n));
	return evp.update(ctx, p, n);
}

STANDS_IN int EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *digest, unsigned *bytes)
{
	if (!evp_is_there())
		return 0;
	if (ssh_tap_is_on())
		ssh_tap_end(&derivation, ctx);
	return evp.final(ctx, digest, bytes);
}

/* ---- what is read: a ClientHello tells whose it is --------------------------------------------
 */

static ssize_t seen(int fd, const void *p, ssize_t n)
{
	if (n > 0 && tls_tap_wants_reads())
		tls_tap_read(fd, bytes_of(p, (size_t)n));
	return n;
}

STANDS_IN ssize_t read(int fd, void *p, size_t n)
{
	return seen(fd, p, libc.read ? libc.read(fd, p, n) : raw_read(fd, p, n));
}

STANDS_IN ssize_t recv(int fd, void *p, size_t n, int flags)
{
	ssize_t r = libc.recv ? libc.recv(fd, p, n, flags)
			      : syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);

	/* With MSG_TRUNC more is said than was written. */
	return r > 0 && (size_t)r > n ? r : seen(fd, p, r);
}

STANDS_IN ssize_t recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *from,
			   socklen_t *from_bytes)
{
	ssize_t r = libc.recvfrom ? libc.recvfrom(fd, p, n, flags, from, from_bytes)
				  : syscall(SYS_recvfrom, fd, p, n, flags, from, from_bytes);

	return r > 0 && (size_t)r > n ? r : seen(fd, p, r);
}

/* The first piece holds the random, or it is not seen. */
static ssize_t seen_pieces(int fd, const struct iovec *v, size_t count, ssize_t n)
{
	if (n > 0 && count > 0)
		(void)seen(fd, v->iov_base, (size_t)n < v->iov_len ? n : (ssize_t)v->iov_len);
	return n;
}

STANDS_IN ssize_t readv(int fd, const struct iovec *v, int count)
{
	ssize_t n = libc.readv ? libc.readv(fd, v, count) : syscall(SYS_readv, fd, v, count);

	return seen_pieces(fd, v, count > 0 ? (size_t)count : 0, n);
}

STANDS_IN ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n = libc.recvmsg ? libc.recvmsg(fd, m, flags) : syscall(SYS_recvmsg, fd, m, flags);

	return seen_pieces(fd, m->msg_iov, m->msg_iovlen, n);
}

/* ---- those who close or take the collector's descriptor ---------------------------------------
 */

void closefrom(int first);

/* For the program it is not there. */
static bool is_link(int fd)
{
	return fd >= 0 && fd == collector_link_fd();
}

STANDS_IN int close(int fd)
{
	if (is_link(fd)) {
		errno = EBADF;
		return -1;
	}
	return libc.close ? libc.close(fd) : (int)raw_close(fd);
}

STANDS_IN int dup(int fd)
{
	int r = libc.dup ? libc.dup(fd) : (int)syscall(SYS_dup, fd);

	if (r >= 0)
		ssh_tap_dup(fd, r);
	return r;
}

STANDS_IN int dup2(int from, int to)
{
	int r = -1;

	if (libc.dup2)
		r = libc.dup2(from, to);
	else if (from != to)
		r = (int)syscall(SYS_dup3, from, to, 0);
	else if (fcntl(from, F_GETFD) >= 0)
		r = to;
	if (r >= 0 && from != to && is_link(to))
		collector_link_lost();
	return r;
}

STANDS_IN int dup3(int from, int to, int flags)
{
	int r = libc.dup3 ? libc.dup3(from, to, flags) : (int)syscall(SYS_dup3, from, to, flags);

	if (r >= 0 && is_link(to))
		collector_link_lost();
	return r;
}

static int close_some(unsigned first, unsigned last, int flags)
{
	if (first > last)
		return 0;
	return libc.close_range ? libc.close_range(first, last, flags)
				: (int)syscall(SYS_close_range, first, last, flags);
}

STANDS_IN int close_range(unsigned first, unsigned last, int flags)
{
	int fd = collector_link_fd();
	unsigned own = (unsigned)fd;

	if (fd < 0 || own < first || own > last)
		return libc.close_range ? libc.close_range(first, last, flags)
					: (int)syscall(SYS_close_range, first, last, flags);
	int r = own > first ? close_some(first, own - 1, flags) : 0;
	return r < 0 ? r : close_some(own + 1, last, flags);
}

STANDS_IN void closefrom(int first)
{
	(void)close_range(first > 0 ? (unsigned)first : 0, ~0U, 0);
}
