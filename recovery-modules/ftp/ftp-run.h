/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ftp-run: one event of a conversation that is being continued. Shared by the files of the
 * recovery half. */
#ifndef FTP_FTP_RUN_H
#define FTP_FTP_RUN_H

#include "ftp.h"

#define FTP_SILENCE_MS 30000 /* how long the backup may be silent to the box's own questions */

#define FTP_NOT_DONE 451 /* "local error in processing": the client may try again */
#define FTP_NO_DATA  425 /* "can't open data connection" */
#define FTP_CUT_OFF  426 /* "connection closed; transfer aborted" */

struct ftp_run {
	struct ftp *s;
	struct ftp_resume *r;
	const struct jeebs_cut *cut;
	const struct jeebs_join_ops *ops;
};

/* Resets the whole conversation. @reason is static text. */
void ftp_run_abort(struct ftp_run *run, const char *reason);
/* The client has finished, so the box finishes too. */
void ftp_run_finish(struct ftp_run *run);
static inline bool ftp_run_over(const struct ftp_run *run)
{
	return run->r->stage == FTP_STAGE_OVER;
}

/* Starts or stops the timer for the backup's answer to the box itself. */
void ftp_run_wait(struct ftp_run *run);

/* ftp-answer.c: what the client is told. */
/* Sends a line of a reply, with its end. The part that the client has is not sent again. */
void ftp_answer_line(struct ftp_run *run, struct bytes line, uint16_t code);
/*
 * The reply is complete. If the client has the beginning of another reply, that is brought to an
 * end.
 */
void ftp_answer_end(struct ftp_run *run, uint16_t code);
/* The code of the cut reply. 0: no reply was cut, or its code is not complete. */
uint16_t ftp_answer_begun(const struct ftp_run *run);
/*
 * Sends a whole reply of the box. If the old server has answered @verb before, its words are used.
 */
void ftp_answer_as(struct ftp_run *run, uint16_t code, uint8_t verb, const struct ftp_words *words,
		   const char *text);
void ftp_answer(struct ftp_run *run, uint16_t code, const char *text);

/* ftp-script.c: from the greeting to the cut transfer. */
void ftp_script_begin(struct ftp_run *run);
/* The backup's TLS is there. */
void ftp_script_secured(struct ftp_run *run);
void ftp_script_line(struct ftp_run *run, struct bytes line);

/*
 * Tells the client that the cut transfer has failed: with the transfer's own reply, unless the
 * client has that.
 */
void ftp_script_fail(struct ftp_run *run, const char *why);
/* Asks the backup about the file of that transfer. */
void ftp_script_ask(struct ftp_run *run, const char *verb);

/* ftp-append.c: continues an upload behind the part that the backup has. */
/* Takes the size that the backup has. @size_known false: it did not tell. */
void ftp_append_size(struct ftp_run *run, bool size_known, uint64_t size);
void ftp_append_line(struct ftp_run *run, struct bytes line);
/* Takes bytes of the channel that is used for the comparison. */
void ftp_append_data(struct ftp_run *run, struct bytes b);
void ftp_append_eof(struct ftp_run *run);
void ftp_append_failed(struct ftp_run *run);

/* ftp-serve.c: the client's commands. */
/* Handles the next command, if none is outstanding. */
void ftp_serve(struct ftp_run *run);
/* More bytes of the client are in r->input. */
void ftp_serve_input(struct ftp_run *run);
/* Takes a line of the reply to the outstanding command. */
void ftp_serve_line(struct ftp_run *run, struct bytes line);
/* What the client has is proven. Sends the replies that have waited for that. */
void ftp_serve_proven(struct ftp_run *run);
/* Sends a command to the backup. */
void ftp_tell(struct ftp_run *run, struct bytes line);
void ftp_tell_number(struct ftp_run *run, const char *verb, uint64_t n);
/* Asks the backup for a passive port if one is needed, and then sends it the command in
 * s->transfer. */
void ftp_arm(struct ftp_run *run);
/* Sends EPSV, or PASV if the backup does not know EPSV. The reply comes in @stage. */
void ftp_ask_passive(struct ftp_run *run, enum ftp_stage stage);
/*
 * Takes the reply to that. Returns false when it contains no port. True with *ret_port 0: PASV was
 * sent instead of EPSV.
 */
bool ftp_take_passive(struct ftp_run *run, struct bytes line, uint16_t *ret_port);
/* The oldest command from before the cut has its reply. */
void ftp_serve_done(struct ftp_run *run);

/* ftp-channel.c: data connections. */
/* Takes the data connection that existed at the cut. */
void ftp_channel_start(struct ftp_run *run);
/* @j is a channel without a client: its backend is spoken to as the client would be. */
void ftp_channel_protect(struct ftp_run *run, struct jeebs_join *j);
/* Closes the channel. @reason is static text. */
void ftp_channel_drop(struct ftp_run *run, const char *reason);
/* Prepares the channel for a transfer with the client. Returns false when there is no client. */
bool ftp_channel_ready(struct ftp_run *run);
/* Makes a channel to which the client will connect. Returns its port; 0: none can be had. */
uint16_t ftp_channel_listen(struct ftp_run *run, uint16_t port);
/* The backup waits at this port. Data flows when the client is there, too. */
void ftp_channel_arm(struct ftp_run *run, uint16_t port);
void ftp_channel_go(struct ftp_run *run);
/* The transfer is over: the channel ends by itself, or is closed. @failed: the reply says so. */
void ftp_channel_leave(struct ftp_run *run, bool failed);
void ftp_channel_event(struct ftp_run *run, struct jeebs_join *j, uint32_t event, struct bytes b);

#endif
