/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "authority-files.h"
#include "authority-index.h"
#include "authority-issue.h"
#include "base/clock.h"
#include "seal.h"

#define DAY_S     86400
#define BACKDATED 3600 /* clocks of the servers may be behind ours */

/* An authority at work: its directory locked, its key and its index read. */
struct office {
	const struct authority *a;
	struct authority_files files;
	struct issuer ca;
	struct authority_index index;
	int64_t now_s;
};

/* A key and its certificate, new. */
struct pair {
	X509 *certificate;
	EVP_PKEY *key;
};

static void pair_free(struct pair *p)
{
	X509_free(p->certificate);
	EVP_PKEY_free(p->key);
}

#define _cleanup_pair_ _cleanup_(pair_free)

static void office_close(struct office *o)
{
	X509_free(o->ca.certificate);
	EVP_PKEY_free(o->ca.key);
	authority_index_free(&o->index);
	authority_files_close(&o->files);
}

#define _cleanup_office_ _cleanup_(office_close)

static int crypto_failed(struct office *o, const char *name)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());
	int r = authority_files_failed(&o->files, -EIO, name, why);

	ERR_clear_error();
	return r;
}

static int office_enter(struct office *o, const struct authority *a, bool create, char *error,
			size_t error_size)
{
	*o = (struct office){.a = a, .now_s = a->now_ns / NS_PER_S};
	o->files.error = error;
	o->files.error_size = error_size;
	return authority_files_open(&o->files, a->dir, create);
}

static int read_index(struct office *o)
{
	_cleanup_secret_ struct secret text = {0};
	int r = authority_files_read(&o->files, "index", &text);

	if (r == 0)
		r = authority_index_read(secret_view(&text), &o->index);
	if (r == -EINVAL)
		return authority_files_failed(&o->files, r, "index", "not an index");
	return r;
}

static int read_certificate(struct office *o, const char *name, X509 **ret)
{
	_cleanup_secret_ struct secret text = {0};
	int r = authority_files_read(&o->files, name, &text);

	if (r < 0)
		return r;
	*ret = issue_read_certificate(secret_view(&text));
	return *ret ? 0 : crypto_failed(o, name);
}

static int office_open(struct office *o, const struct authority *a, char *error, size_t error_size)
{
	_cleanup_secret_ struct secret key = {0};
	int r = office_enter(o, a, false, error, error_size);

	if (r == 0)
		r = read_certificate(o, "ca.crt", &o->ca.certificate);
	if (r == 0)
		r = authority_files_read(&o->files, "ca.key", &key);
	if (r < 0)
		return r;
	o->ca.key = issue_read_key(secret_view(&key));
	if (!o->ca.key || X509_check_private_key(o->ca.certificate, o->ca.key) != 1)
		return crypto_failed(o, "ca.key");
	return read_index(o);
}

static int write_key(struct office *o, const char *name, EVP_PKEY *key)
{
	_cleanup_secret_ struct secret text = {0};

	if (!issue_write_key(key, &text))
		return crypto_failed(o, name);
	return authority_files_write(&o->files, name, AUTHORITY_SECRET, secret_view(&text));
}

static int write_certificates(struct office *o, const char *name, X509 *const *certificate,
			      size_t n)
{
	_cleanup_secret_ struct secret text = {0};

	if (!issue_write_certificates(certificate, n, &text))
		return crypto_failed(o, name);
	return authority_files_write(&o->files, name, AUTHORITY_PUBLIC, secret_view(&text));
}

static int write_index(struct office *o)
{
	size_t room = o->index.n * AUTHORITY_LINE_MAX + 1;
	_cleanup_free_ uint8_t *text = malloc(room);
	struct writer w = writer_init(text, room);

	if (!text)
		return -ENOMEM;
	authority_index_write(&w, &o->index);
	return authority_files_write(&o->files, "index", AUTHORITY_PUBLIC, writer_view(&w));
}

static int64_t end_of(const X509 *certificate)
{
	struct tm end = {0};

	ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end);
	return (int64_t)timegm(&end);
}

static struct validity validity_of(const struct office *o)
{
	unsigned days = o->a->leaf_days ? o->a->leaf_days : AUTHORITY_LEAF_DAYS;
	struct validity v = {o->now_s - BACKDATED, o->now_s + (int64_t)days * DAY_S};
	int64_t end = end_of(o->ca.certificate);

	if (v.until_s > end)
		v.until_s = end;
	return v;
}

static const char *in(char path[AUTHORITY_PATH_MAX], const char *folder, const char *name,
		      const char *file)
{
	snprintf(path, AUTHORITY_PATH_MAX, "%s%s%s%s", folder, name, *folder && *name ? "/" : "",
		 file);
	return path;
}

static const char *issued_path(char path[AUTHORITY_PATH_MAX], const char *serial)
{
	snprintf(path, AUTHORITY_PATH_MAX, "issued/%s.crt", serial);
	return path;
}

/* What is issued is in the index before anybody has it. */
static int issue(struct office *o, const struct subject *s, struct pair *ret)
{
	char path[AUTHORITY_PATH_MAX];
	struct validity v = validity_of(o);
	struct issued e = {.not_after_s = v.until_s};

	ret->key = issue_key();
	ret->certificate = ret->key ? issue_certificate(&o->ca, ret->key, s, v) : NULL;
	if (!ret->certificate)
		return crypto_failed(o, "");
	issue_serial(ret->certificate, e.serial);
	issue_role(s, e.role);
	int r = authority_index_add(&o->index, &e);
	if (r < 0)
		return authority_files_failed(&o->files, r, "index", NULL);
	r = write_index(o);
	if (r == 0)
		r = write_certificates(o, issued_path(path, e.serial), &ret->certificate, 1);
	return r;
}

static int write_pair(struct office *o, const char *folder, const char *name, const char *role,
		      const struct pair *p)
{
	char path[AUTHORITY_PATH_MAX], file[32];

	snprintf(file, sizeof file, "%s.key", role);
	int r = write_key(o, in(path, folder, name, file), p->key);
	snprintf(file, sizeof file, "%s.crt", role);
	if (r == 0)
		r = write_certificates(o, in(path, folder, name, file), &p->certificate, 1);
	return r;
}

/* Each role once, whose beginning is @prefix, in the order of the index. */
static const struct issued *next_role(const struct office *o, const char *prefix, size_t *io_at)
{
	while (*io_at < o->index.n) {
		const struct issued *e = &o->index.entry[(*io_at)++];
		bool first = strncmp(e->role, prefix, strlen(prefix)) == 0;
		for (const struct issued *b = o->index.entry; first && b < e; b++)
			first = strcmp(b->role, e->role) != 0;
		if (first)
			return e;
	}
	return NULL;
}

static const char *name_in(const char *role)
{
	const char *colon = strrchr(role, ':');

	return colon ? colon + 1 : role;
}

struct recipients {
	X509 *certificate[SEAL_RECIPIENTS_MAX];
	size_t n;
};

static void recipients_free(struct recipients *r)
{
	for (size_t i = 0; i < r->n; i++)
		X509_free(r->certificate[i]);
}

static int too_many(struct office *o)
{
	return authority_files_failed(&o->files, -ENOSPC, "index",
				      "too many recovery identities to seal to");
}

static int add_recipient(struct office *o, struct recipients *r, const struct issued *e)
{
	char path[AUTHORITY_PATH_MAX];

	if (r->n == SEAL_RECIPIENTS_MAX)
		return too_many(o);
	int done = read_certificate(o, issued_path(path, e->serial), &r->certificate[r->n]);
	if (done == 0)
		r->n++;
	return done;
}

/* To whom origins seal: each recovery identity, and what it was before its last rotation. */
static int recipients_of(struct office *o, struct recipients *ret)
{
	const struct issued *role;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (role = next_role(o, "jeebs:recovery", &at))) {
		const struct issued *now =
			authority_index_last(&o->index, role->role, o->now_s, NULL);
		const struct issued *before =
			now ? authority_index_last(&o->index, role->role, o->now_s, now) : NULL;
		if (now)
			r = add_recipient(o, ret, now);
		if (r == 0 && before)
			r = add_recipient(o, ret, before);
	}
	return r;
}

/* Whether one more of @role may be sealed to; asked before it is issued. */
static int has_room_for(struct office *o, const char *role)
{
	_cleanup_(recipients_free) struct recipients all = {0};
	const struct issued *now = authority_index_last(&o->index, role, o->now_s, NULL);
	bool replaces = now && authority_index_last(&o->index, role, o->now_s, now);
	int r = recipients_of(o, &all);

	return r == 0 && all.n == SEAL_RECIPIENTS_MAX && !replaces ? too_many(o) : r;
}

static int write_recipients(struct office *o, const char *origin, const struct recipients *r)
{
	char path[AUTHORITY_PATH_MAX];

	in(path, "origins/", origin, "recovery.crt");
	return r->n > 0 ? write_certificates(o, path, r->certificate, r->n)
			: authority_files_remove(&o->files, path);
}

/* Of every origin whose folder is still here. */
static int write_all_recipients(struct office *o)
{
	_cleanup_(recipients_free) struct recipients recipients = {0};
	const struct issued *role;
	char path[AUTHORITY_PATH_MAX];
	size_t at = 0;
	int r = recipients_of(o, &recipients);

	while (r == 0 && (role = next_role(o, "jeebs:origin:", &at))) {
		if (authority_files_has(&o->files, in(path, "origins/", name_in(role->role), "")))
			r = write_recipients(o, name_in(role->role), &recipients);
	}
	return r;
}

static X509_CRL *make_crl(struct office *o)
{
	struct validity v = {o->now_s, end_of(o->ca.certificate)};
	int64_t number = 0;

	/* Entries are never taken back, so their number only grows. */
	for (size_t i = 0; i < o->index.n; i++)
		number += o->index.entry[i].revoked_s != 0;
	X509_CRL *crl = issue_crl(&o->ca, number, v);
	bool done = crl;
	for (size_t i = 0; done && i < o->index.n; i++) {
		const struct issued *e = &o->index.entry[i];
		done = e->revoked_s == 0 || issue_crl_add(crl, e->serial, e->revoked_s);
	}
	if (done && issue_crl_sign(crl, &o->ca))
		return crl;
	X509_CRL_free(crl);
	return NULL;
}

/* Into each folder of @above that is still here, of those who have a role of that kind. */
static int write_crls(struct office *o, const char *roles, const char *above, struct bytes text)
{
	const struct issued *role;
	char path[AUTHORITY_PATH_MAX];
	size_t at = 0;
	int r = 0;

	while (r == 0 && (role = next_role(o, roles, &at))) {
		if (authority_files_has(&o->files, in(path, above, name_in(role->role), "")))
			r = authority_files_write(&o->files,
						  in(path, above, name_in(role->role), "ca.crl"),
						  AUTHORITY_PUBLIC, text);
	}
	return r;
}

/* For the vault and the box, for each further box, and for each origin. */
static int write_crl(struct office *o)
{
	_cleanup_secret_ struct secret text = {0};
	X509_CRL *crl = make_crl(o);
	bool done = crl && issue_write_crl(crl, &text);

	X509_CRL_free(crl);
	if (!done)
		return crypto_failed(o, "ca.crl");
	int r = authority_files_write(&o->files, "ca.crl", AUTHORITY_PUBLIC, secret_view(&text));
	if (r == 0)
		r = write_crls(o, "jeebs:recovery:", "recoveries/", secret_view(&text));
	return r == 0 ? write_crls(o, "jeebs:origin:", "origins/", secret_view(&text)) : r;
}

static int make_ca(struct office *o)
{
	struct validity v = {o->now_s - BACKDATED, o->now_s + (int64_t)AUTHORITY_CA_DAYS * DAY_S};

	o->ca.key = issue_key();
	o->ca.certificate = o->ca.key ? issue_ca(o->ca.key, v) : NULL;
	return o->ca.certificate ? write_key(o, "ca.key", o->ca.key) : crypto_failed(o, "ca.key");
}

static int add_simple(struct office *o, enum identity_role role)
{
	_cleanup_pair_ struct pair p = {0};
	int r = issue(o, &(struct subject){.role = role}, &p);

	return r == 0 ? write_pair(o, "", "", identity_role_name(role), &p) : r;
}

int authority_init(const struct authority *a, char *error, size_t error_size)
{
	static const char *const folders[] = {"issued", "origins", "recovery.d", "recoveries"};
	_cleanup_office_ struct office o;
	int r = office_enter(&o, a, true, error, error_size);

	/* ca.crt is the last file: an attempt that was cut off before is begun anew. */
	if (r == 0 && authority_files_has(&o.files, "ca.crt"))
		r = authority_files_failed(&o.files, -EEXIST, "ca.crt", "there is a CA already");
	for (size_t i = 0; r == 0 && i < sizeof folders / sizeof *folders; i++)
		r = authority_files_mkdir(&o.files, folders[i]);
	if (r == 0)
		r = make_ca(&o);
	if (r == 0)
		r = add_simple(&o, IDENTITY_VAULT);
	if (r == 0)
		r = add_simple(&o, IDENTITY_RECOVERY);
	if (r == 0)
		r = write_crl(&o);
	if (r == 0)
		r = write_certificates(&o, "ca.crt", &o.ca.certificate, 1);
	return r;
}

static int set_name(struct office *o, struct subject *s, const char *name)
{
	if (!identity_name_valid(name))
		return authority_files_failed(
			&o->files, -EINVAL, "",
			"a name has letters, digits, '-', '_', '.', at most 63");
	memcpy(s->name, name, strlen(name) + 1);
	return 0;
}

/* -EEXIST: somebody has this role. */
static int is_free(struct office *o, const struct subject *s)
{
	char role[ROLE_STRLEN];

	issue_role(s, role);
	return authority_index_last(&o->index, role, o->now_s, NULL)
		       ? authority_files_failed(&o->files, -EEXIST, role,
						"has a certificate that is valid")
		       : 0;
}

/* A folder for another machine, with all it needs. */
static int make_folder(struct office *o, const struct subject *s)
{
	_cleanup_(recipients_free) struct recipients recipients = {0};
	_cleanup_pair_ struct pair p = {0};
	const char *above = s->role == IDENTITY_ORIGIN ? "origins/" : "recoveries/";
	char path[AUTHORITY_PATH_MAX];

	int r = authority_files_mkdir(&o->files, in(path, above, s->name, ""));
	if (r == 0)
		r = issue(o, s, &p);
	/* Before it is used, it is known that not too many are sealed to. */
	if (r == 0)
		r = recipients_of(o, &recipients);
	if (r == 0)
		r = write_certificates(o, in(path, above, s->name, "ca.crt"), &o->ca.certificate,
				       1);
	if (r == 0)
		r = write_pair(o, above, s->name, identity_role_name(s->role), &p);
	if (r == 0 && s->role == IDENTITY_ORIGIN)
		r = write_recipients(o, s->name, &recipients);
	return r;
}

int authority_add_origin(const struct authority *a, const char *name, const struct netaddr *address,
			 size_t n, char *error, size_t error_size)
{
	_cleanup_office_ struct office o;
	struct subject s = {.role = IDENTITY_ORIGIN, .addresses = n};
	int r = office_open(&o, a, error, error_size);

	if (r == 0)
		r = set_name(&o, &s, name);
	if (r == 0 && (n < 1 || n > IDENTITY_ADDRESSES_MAX))
		r = authority_files_failed(&o.files, -EINVAL, "",
					   "an origin has 1 to 64 addresses");
	if (r < 0)
		return r;
	memcpy(s.address, address, n * sizeof *address);
	r = is_free(&o, &s);
	if (r == 0)
		r = make_folder(&o, &s);
	return r == 0 ? write_crl(&o) : r;
}

int authority_add_recovery(const struct authority *a, const char *name, char *error,
			   size_t error_size)
{
	_cleanup_office_ struct office o;
	struct subject s = {.role = IDENTITY_RECOVERY};
	char role[ROLE_STRLEN];
	int r = office_open(&o, a, error, error_size);

	if (r == 0)
		r = set_name(&o, &s, name);
	issue_role(&s, role);
	if (r == 0)
		r = is_free(&o, &s);
	if (r == 0)
		r = has_room_for(&o, role);
	if (r == 0)
		r = make_folder(&o, &s);
	if (r == 0)
		r = write_crl(&o);
	return r == 0 ? write_all_recipients(&o) : r;
}

/* "vault", "recovery", "recovery:NAME" or an origin's name, as a role. */
static void role_of(const char *who, char role[ROLE_STRLEN])
{
	bool origin = strcmp(who, "vault") != 0 && strcmp(who, "recovery") != 0 &&
		      strncmp(who, "recovery:", 9) != 0;

	snprintf(role, ROLE_STRLEN, "jeebs:%s%s", origin ? "origin:" : "", who);
}

int authority_revoke(const struct authority *a, const char *who, char *error, size_t error_size)
{
	_cleanup_office_ struct office o;
	char role[ROLE_STRLEN];
	size_t found = 0;
	int r = office_open(&o, a, error, error_size);

	if (r < 0)
		return r;
	role_of(who, role);
	for (size_t i = 0; i < o.index.n; i++) {
		struct issued *e = &o.index.entry[i];
		if (strcmp(e->role, role) != 0 && strcmp(e->serial, who) != 0)
			continue;
		found++;
		if (e->revoked_s == 0)
			e->revoked_s = o.now_s;
	}
	if (found == 0)
		return authority_files_failed(&o.files, -ENOENT, who, "no such certificate");
	r = write_index(&o);
	if (r == 0)
		r = write_crl(&o);
	return r == 0 ? write_all_recipients(&o) : r;
}

/* The recovery identity in @folder, as it was, into recovery.d/SERIAL.{crt,key} there. */
static int keep_recovery(struct office *o, const char *folder, const char *name)
{
	_cleanup_secret_ struct secret key = {0};
	_cleanup_pair_ struct pair p = {0};
	char path[AUTHORITY_PATH_MAX], serial[SERIAL_STRLEN], file[SERIAL_STRLEN + 32];

	if (!authority_files_has(&o->files, in(path, folder, name, "recovery.key")))
		return 0;
	int r = authority_files_read(&o->files, path, &key);
	if (r == 0)
		r = read_certificate(o, in(path, folder, name, "recovery.crt"), &p.certificate);
	if (r == 0)
		r = authority_files_mkdir(&o->files, in(path, folder, name, "recovery.d"));
	if (r < 0)
		return r;
	issue_serial(p.certificate, serial);
	snprintf(file, sizeof file, "recovery.d/%s.key", serial);
	r = authority_files_write(&o->files, in(path, folder, name, file), AUTHORITY_SECRET,
				  secret_view(&key));
	snprintf(file, sizeof file, "recovery.d/%s.crt", serial);
	return r == 0 ? write_certificates(o, in(path, folder, name, file), &p.certificate, 1) : r;
}

/* Who has @role now. -ENOENT: nobody. */
static int holder_of(struct office *o, const char *role, struct subject *ret)
{
	char path[AUTHORITY_PATH_MAX];
	const struct issued *e = authority_index_last(&o->index, role, o->now_s, NULL);
	X509 *c = NULL;

	if (!e)
		return authority_files_failed(&o->files, -ENOENT, role,
					      "has no certificate that is valid");
	int r = read_certificate(o, issued_path(path, e->serial), &c);
	if (r == 0 && !subject_of(c, ret))
		r = authority_files_failed(&o->files, -EINVAL, path, "a certificate of nobody");
	X509_free(c);
	return r;
}

static int rotate_recovery(struct office *o, const char *role)
{
	int r = has_room_for(o, role);

	if (r == 0)
		r = keep_recovery(o, "", "");
	if (r == 0)
		r = add_simple(o, IDENTITY_RECOVERY);
	return r == 0 ? write_all_recipients(o) : r;
}

static int rotate_folder(struct office *o, const char *role)
{
	struct subject s;
	int r = holder_of(o, role, &s);

	if (r < 0 || s.role == IDENTITY_ORIGIN)
		return r < 0 ? r : make_folder(o, &s);
	r = has_room_for(o, role);
	if (r == 0)
		r = keep_recovery(o, "recoveries/", s.name);
	if (r == 0)
		r = make_folder(o, &s);
	return r == 0 ? write_all_recipients(o) : r;
}

int authority_rotate(const struct authority *a, const char *who, char *error, size_t error_size)
{
	_cleanup_office_ struct office o;
	char role[ROLE_STRLEN];
	int r = office_open(&o, a, error, error_size);

	if (r < 0)
		return r;
	role_of(who, role);
	/* Who has no name is always there, even if all his certificates were revoked. */
	if (strcmp(who, "vault") == 0)
		return add_simple(&o, IDENTITY_VAULT);
	if (strcmp(who, "recovery") == 0)
		return rotate_recovery(&o, role);
	return rotate_folder(&o, role);
}
