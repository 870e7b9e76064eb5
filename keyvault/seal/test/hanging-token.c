/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A PKCS#11 module that is another one ($HANGING_TOKEN_OF), but does not answer what needs the
 * private key for as long as the file $HANGING_TOKEN exists. Loaded by OpenSSL's engine in tests.
 */
#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* CK_FUNCTION_LIST (PKCS #11 2.40, section 4.6): functions in the order of section 5. */
enum {
	C_GET_FUNCTION_LIST = 3,
	C_SIGN = 43,
	C_DERIVE_KEY = 62,
	FUNCTIONS = 68,
};

typedef void (*function)(void); /* of whatever kind */
typedef unsigned long (*sign_fn)(unsigned long session, void *data, unsigned long n, void *sig,
				 unsigned long *sig_n);
typedef unsigned long (*derive_fn)(unsigned long session, void *mechanism, unsigned long base,
				   void *template, unsigned long n, unsigned long *key);

struct function_list {
	unsigned char version[2];
	function f[FUNCTIONS];
};

static struct function_list ours;
static const struct function_list *theirs;

static void answer_or_not(void)
{
	const char *file = getenv("HANGING_TOKEN");

	while (file && access(file, F_OK) == 0)
		poll(NULL, 0, 20);
}

static unsigned long hanging_sign(unsigned long session, void *data, unsigned long n, void *sig,
				  unsigned long *sig_n)
{
	answer_or_not();
	return ((sign_fn)theirs->f[C_SIGN])(session, data, n, sig, sig_n);
}

static unsigned long hanging_derive(unsigned long session, void *mechanism, unsigned long base,
				    void *template, unsigned long n, unsigned long *key)
{
	answer_or_not();
	return ((derive_fn)theirs->f[C_DERIVE_KEY])(session, mechanism, base, template, n, key);
}

__attribute__((visibility("default"))) unsigned long C_GetFunctionList(struct function_list **ret);

__attribute__((visibility("default"))) unsigned long C_GetFunctionList(struct function_list **ret)
{
	unsigned long (*get)(const struct function_list **list) = NULL;
	const char *module = getenv("HANGING_TOKEN_OF");
	void *handle = module ? dlopen(module, RTLD_NOW) : NULL;

	if (handle)
		*(void **)&get = dlsym(handle, "C_GetFunctionList");
	if (!get || get(&theirs) != 0)
		return 5; /* CKR_GENERAL_ERROR */
	ours = *theirs;
	ours.f[C_GET_FUNCTION_LIST] = (function)C_GetFunctionList;
	ours.f[C_SIGN] = (function)hanging_sign;
	ours.f[C_DERIVE_KEY] = (function)hanging_derive;
	*ret = &ours;
	return 0;
}
