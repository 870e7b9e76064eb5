/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fake-sshd: a backup for tests, of the server half of this room: it lets everybody in who shows a
 * certificate for the user he names, and runs a shell that echoes, or a command that says what it
 * is told to.
 */
#ifndef SSH_TEST_FAKE_SSHD_H
#define SSH_TEST_FAKE_SSHD_H

#include "crypto-rig.h"
#include "recovery-modules/harness/harness.h"
#include "recovery-modules/ssh/ssh-server.h"

struct fake_sshd {
	struct bytes output;  /* of a command */
	const char *host_key; /* file */
	bool shuts_out;       /* nobody is let in */
	/* What was asked of it. */
	uint32_t logins, shells, commands;
	char user[64], command[512];
	uint32_t columns;
	struct buf typed;

	/* Private. */
	struct crypto_rig rig;
	struct ssh_session session;
	struct ssh_server server;
	struct buf in;
	struct buf *answer;
	bool greeted, running;
	uint32_t channel;
	size_t said;
	uint8_t room[SSH_WIRE_MAX], open[SSH_WIRE_MAX], sealed[SSH_WIRE_MAX], none[8];
};

void fake_sshd_init(struct fake_sshd *f, struct ssh_host_key *host_key);
void fake_sshd_deinit(struct fake_sshd *f);
struct harness_backend fake_sshd_backend(struct fake_sshd *f);

#endif
