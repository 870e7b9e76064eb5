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
 * Makes the folder if it is missing and takes its lock. Removes, unread, an environment of another
 * boot; then *ret_dropped. Returns 0, -EBUSY when another process has the lock, or a negative
 * errno. store_folder_close() is due in any case.
 */
int store_folder_open(struct store_folder *f, const char *state_dir,
		      const uint8_t boot_id[static STORE_BOOT_ID_BYTES], bool *ret_dropped);
void store_folder_close(struct store_folder *f);

/* Removes the environment, which must not be open. Returns 0 or a negative errno. */
int store_folder_clear(struct store_folder *f);
/*
 * Renames the environment's file, so that people can examine it. The environment must not be open.
 */
int store_folder_set_aside(struct store_folder *f);
/* Reserves @size bytes for the environment. Returns whether the file system has them. */
bool store_folder_reserve(struct store_folder *f, uint64_t size);

#endif
