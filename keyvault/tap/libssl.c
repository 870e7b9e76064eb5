/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "libssl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool found;
static struct libssl functions;

/* By its name first: what a module has loaded for itself alone is nowhere else. */
static void *look_up(const char *library, const char *name)
{
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
	void *f = handle ? dlsym(handle, name) : NULL;

	return f ? f : dlsym(RTLD_NEXT, name);
}

void *libcrypto_function(const char *name)
{
	return look_up("libcrypto.so.3", name);
}

static bool find(struct libssl *l)
{
	/* POSIX lets an object pointer be stored as a function's this way. */
#define LIBSSL_FIND(result, name, arguments) *(void **)&l->name = look_up("libssl.so.3", #name);
	LIBSSL_FUNCTIONS(LIBSSL_FIND)
#undef LIBSSL_FIND
	bool all = true;
#define LIBSSL_IS_THERE(result, name, arguments) all = all && l->name;
	LIBSSL_FUNCTIONS(LIBSSL_IS_THERE)
#undef LIBSSL_IS_THERE
	return all;
}

const struct libssl *libssl(void)
{
	struct libssl l;

	if (atomic_load_explicit(&found, memory_order_acquire))
		return &functions;
	pthread_mutex_lock(&lock);
	if (!atomic_load(&found) && find(&l)) {
		functions = l;
		atomic_store_explicit(&found, true, memory_order_release);
	}
	pthread_mutex_unlock(&lock);
	return atomic_load(&found) ? &functions : NULL;
}
