/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority-rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal-rig.h"

char rig_dir[64];
char rig_error[512];
struct authority rig_ca = {.dir = rig_dir};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int rig_set_up(void **state)
{
	strcpy(rig_dir, "/dev/shm/jeebs-authority-XXXXXX");
	rig_error[0] = 0;
	rig_ca.now_ns = RIG_NOW_NS;
	return mkdtemp(rig_dir) && authority_init(&rig_ca, rig_error, sizeof rig_error) == 0 ? 0
											     : -1;
}

int rig_tear_down(void **state)
{
	return nftw(rig_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *rig_path(const char *name)
{
	static char path[16][256];
	static unsigned next;
	char *p = path[next++ % 16];

	snprintf(p, sizeof path[0], "%s/%s", rig_dir, name);
	return p;
}

int rig_origin(const char *name, const char *address)
{
	struct netaddr a;

	assert_int_equal(netaddr_parse(address, &a), 0);
	return authority_add_origin(&rig_ca, name, &a, 1, rig_error, sizeof rig_error);
}
