/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "module-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file-trust.h"

/* The ELF header of this program, a symbol of the linker. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* Reads a table of @n entries of @size bytes at @at. NULL: it is not completely in the file. */
static void *read_table(int fd, uint64_t end, uint64_t at, uint64_t n, size_t size)
{
	if (at > end || n > (end - at) / size)
		return NULL;
	void *p = malloc(n * size + 1);
	if (p && pread(fd, p, n * size, (off_t)at) == (ssize_t)(n * size))
		return p;
	free(p);
	return NULL;
}

static bool within(uint64_t end, uint64_t at, uint64_t n)
{
	return at <= end && n <= end - at;
}

static const char *broken_header(const ElfW(Ehdr) * e)
{
	if (memcmp(e->e_ident, ELFMAG, SELFMAG) != 0)
		return "no ELF object";
	if (e->e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
	    e->e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
	    e->e_machine != __ehdr_start.e_machine)
		return "an ELF object for another machine";
	if (e->e_type != ET_DYN || e->e_phentsize != sizeof(ElfW(Phdr)) ||
	    (e->e_shnum > 0 && e->e_shentsize != sizeof(ElfW(Shdr))))
		return "no shared object";
	return NULL;
}

static bool whole(int fd, uint64_t end, const ElfW(Ehdr) * e)
{
	_cleanup_free_ ElfW(Phdr) *segment =
		read_table(fd, end, e->e_phoff, e->e_phnum, sizeof *segment);
	_cleanup_free_ ElfW(Shdr) *section =
		read_table(fd, end, e->e_shoff, e->e_shnum, sizeof *section);

	if (!segment || !section)
		return false;
	for (size_t i = 0; i < e->e_phnum; i++) {
		if (!within(end, segment[i].p_offset, segment[i].p_filesz))
			return false;
	}
	for (size_t i = 0; i < e->e_shnum; i++) {
		if (section[i].sh_type != SHT_NOBITS &&
		    !within(end, section[i].sh_offset, section[i].sh_size))
			return false;
	}
	return true;
}

static int check_object(const char *path, char *error, size_t error_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ElfW(Ehdr) e;
	struct stat st;
	const char *why = NULL;

	if (fd < 0 || fstat(fd, &st) < 0)
		return file_trust_no_file(path, errno, error, error_size);
	if (pread(fd, &e, sizeof e, 0) != (ssize_t)sizeof e)
		why = "no ELF object";
	else
		why = broken_header(&e);
	if (!why && !whole(fd, (uint64_t)st.st_size, &e))
		why = "a truncated or damaged shared object";
	if (!why)
		return 0;
	snprintf(error, error_size, "%s: %s", path, why);
	return -ENOEXEC;
}

int module_file_check(const char *path, char *ret_resolved, char *error, size_t error_size)
{
	int r = file_trust_check(path, ret_resolved, error, error_size);

	return r == 0 ? check_object(ret_resolved, error, error_size) : r;
}
