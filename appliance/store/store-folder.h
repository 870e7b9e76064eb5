/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-folder: <state_dir>/flows: whose it is, of which boot, and what is put aside. Files only;
 * what is in them the store knows.
 */
#ifndef APPLIANCE_STORE_FOLDER_H
#define APPLIANCE_STORE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "store-format.h"

#define STORE_FOLDER_PATH 4096

struct store_folder {
	char path[STORE_FOLDER_PATH];
	int fd, owner_fd;
};

/*
 * Makes it where there is none, takes its lock, and removes an environment of another boot (then
 * *ret_dropped), unread. 0; -EBUSY: somebody has it; or negative errno. store_folder_close() is due
 * either way.
 */
int store_folder_open(struct store_folder *f, const char *state_dir,
		      const uint8_t boot_id[static STORE_BOOT_ID_BYTES], bool *ret_dropped);
void store_folder_close(struct store_folder *f);

/* Removes the environment; it is not open. 0 or negative errno. */
int store_folder_clear(struct store_folder *f);
/* Likewise, but keeps its file for people to look at. */
int store_folder_set_aside(struct store_folder *f);
/* Has the file system promised the environment @size bytes? */
bool store_folder_reserve(struct store_folder *f, uint64_t size);

#endif
