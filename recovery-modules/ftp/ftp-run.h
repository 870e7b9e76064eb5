/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ftp-run: one event of a conversation being continued; shared by the files of the recovery half.
 */
#ifndef FTP_FTP_RUN_H
#define FTP_FTP_RUN_H

#include "ftp.h"

#define FTP_SILENCE_MS 30000 /* the backup's, to what the box asks by itself */

#define FTP_NOT_DONE   451 /* "local error in processing": may be tried again */
#define FTP_NO_DATA    425 /* "can't open data connection" */
#define FTP_CUT_OFF    426 /* "connection closed; transfer aborted" */
#define FTP_NO_COMMAND 502

struct ftp_run {
	struct ftp *s;
	struct ftp_resume *r;
	const struct jeebs_cut *cut;
	const struct jeebs_join_ops *ops;
};

/* Resets all of the conversation. @reason: static. */
void ftp_run_abort(struct ftp_run *run, const char *reason);
/* The client says no more: neither does the box. */
void ftp_run_finish(struct ftp_run *run);
static inline bool ftp_run_over(const struct ftp_run *run)
{
	return run->r->stage == FTP_STAGE_OVER;
}

/* The backup owes an answer to the box itself, or none any more. */
void ftp_run_wait(struct ftp_run *run);

/* ftp-answer.c: what the client is told. */
/* A line of a reply, with its end. What it has of it already is not sent again. */
void ftp_answer_line(struct ftp_run *run, struct bytes line, uint16_t code);
/* The reply is complete. What the client has of it and cannot be so is brought to an end. */
void ftp_answer_end(struct ftp_run *run, uint16_t code);
/* The code of the reply that was cut; 0: none was, or it is not all of the code. */
uint16_t ftp_answer_begun(const struct ftp_run *run);
/* A whole reply of the box, in the words of the old server where it has used them for @verb. */
void ftp_answer_as(struct ftp_run *run, uint16_t code, uint8_t verb, const struct ftp_words *words,
		   const char *text);
void ftp_answer(struct ftp_run *run, uint16_t code, const char *text);

/* ftp-script.c: from the greeting to the transfer that was cut. */
void ftp_script_begin(struct ftp_run *run);
void ftp_script_line(struct ftp_run *run, struct bytes line);

/* The transfer that was cut has failed: told with its own reply, if the client has not got that. */
void ftp_script_fail(struct ftp_run *run, const char *why);
/* A question about the file of that transfer. */
void ftp_script_ask(struct ftp_run *run, const char *verb);

/* ftp-append.c: an upload goes on behind what the backup has of it. */
/* It said how much that is. @told false: it did not. */
void ftp_append_size(struct ftp_run *run, bool told, uint64_t size);
void ftp_append_line(struct ftp_run *run, struct bytes line);
/* Of the channel it is compared on. */
void ftp_append_data(struct ftp_run *run, struct bytes b);
void ftp_append_eof(struct ftp_run *run);
void ftp_append_failed(struct ftp_run *run);

/* ftp-serve.c: the client's commands. */
/* Nothing is outstanding: the next one. */
void ftp_serve(struct ftp_run *run);
/* More bytes of the client are in r->input. */
void ftp_serve_input(struct ftp_run *run);
/* A line of the reply to the outstanding one. */
void ftp_serve_line(struct ftp_run *run, struct bytes line);
/* What the client has is proven: what waited for that is told. */
void ftp_serve_proven(struct ftp_run *run);
/* A command for the backup. */
void ftp_tell(struct ftp_run *run, struct bytes line);
void ftp_tell_number(struct ftp_run *run, const char *verb, uint64_t n);
/* Asks the backup for a passive port where it is needed, and then gives it the command in
 * s->transfer. */
void ftp_arm(struct ftp_run *run);
/* EPSV, or PASV where the backup does not know it: its reply comes in this stage. */
void ftp_ask_passive(struct ftp_run *run, enum ftp_stage stage);
/* False: it was no port. True and *ret_port 0: it is asked in the old way. */
bool ftp_take_passive(struct ftp_run *run, struct bytes line, uint16_t *ret_port);
/* The oldest command of before the cut has its reply. */
void ftp_serve_done(struct ftp_run *run);

/* ftp-channel.c: data connections. */
/* What was there at the cut. */
void ftp_channel_start(struct ftp_run *run);
/* No use of it any more. @reason: static. */
void ftp_channel_drop(struct ftp_run *run, const char *reason);
/* For a transfer with the client: false when there is nobody to transfer to. */
bool ftp_channel_ready(struct ftp_run *run);
/* A new one, the client will connect; its port, 0: none is to be had. */
uint16_t ftp_channel_listen(struct ftp_run *run, uint16_t port);
/* The backup waits for it at this port: data flows as soon as the client is there, too. */
void ftp_channel_arm(struct ftp_run *run, uint16_t port);
void ftp_channel_go(struct ftp_run *run);
/* The transfer is over: the channel goes on by itself, or is given up. @failed: by its reply. */
void ftp_channel_leave(struct ftp_run *run, bool failed);
void ftp_channel_event(struct ftp_run *run, struct jeebs_join *j, uint32_t event, struct bytes b);

#endif
