/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp: the state of one FTP control connection, shared by the files of this module.
 *
 * THEORY OF OPERATION
 *
 * Live, the client's lines are commands and wait in a queue for their replies, which come in
 * order. From each pair the session is learned: who logged in, where, with which settings, and
 * where the next data connection will be, which is expected (ftp-live.c). Of the log only the
 * unfinished line of the client and the unfinished reply of the server are needed.
 *
 * At a failover ftp_decide() says what becomes of the data connection and of the commands
 * without a reply. The backup is told the session (script), what was being transferred is
 * continued, and then the module stays between the two for good: addresses in replies are the
 * box's own. One command is outstanding at a time.
 */
#ifndef FTP_FTP_H
#define FTP_FTP_H

#include "ftp-data.h"
#include "ftp-reply.h"
#include "ftp-session.h"

#define FTP_LINE_MAX    1024u
#define FTP_REPLY_MAX   65536u /* of a reply of several lines so much is kept */
#define FTP_QUEUE_MAX   32u
#define FTP_WAITING_MAX 65536u /* bytes of the server that wait for their command */
#define FTP_STAMP_MAX   24u    /* YYYYMMDDHHMMSS.sss */
#define FTP_WORDS_MAX   64u

/* Why nothing can be recovered any more. Names in ftp_reason_name(); the numbers are in
 * checkpoints. */
enum ftp_reason {
	FTP_FINE = 0,
	FTP_OLDER = 1,
	FTP_REQUEST_GAP = 2,
	FTP_REPLY_GAP = 3,
	FTP_PIPELINE_TOO_DEEP = 4,
	FTP_NOT_FTP = 5,
	FTP_LINE_TOO_LONG = 6,
	FTP_LOG_LOST = 7,
	FTP_REPLY_UNASKED = 8,
	FTP_STARTTLS = 9,
	FTP_REASON_COUNT_,
};

const char *ftp_reason_name(enum ftp_reason reason);

struct ftp_side {
	uint64_t next; /* offset of the next byte to be shown */
	uint64_t line; /* where the line begins that is not complete */
};

/* Where the next data connection will be. */
struct ftp_endpoint {
	uint8_t verb;                 /* FTP_PASV, FTP_EPSV, FTP_PORT, FTP_EPRT; FTP_NONE */
	uint32_t tag;                 /* of its expectation */
	struct jeebs_address address; /* PORT, EPRT: the client's; else the port only */
};

/* What the server said about a file. */
struct ftp_known {
	uint64_t file; /* digest of its name; 0: nothing */
	uint64_t size;
	bool sized;
	uint8_t stamp_n;
	uint8_t stamp[FTP_STAMP_MAX]; /* MDTM */
};

/* How the server puts what the box has to say itself. */
struct ftp_words {
	uint8_t verb; /* FTP_NONE: it has not said it yet */
	uint8_t n;
	uint8_t text[FTP_WORDS_MAX]; /* behind the code, without line end */
};

enum ftp_progress {
	FTP_ASKED = 0,
	FTP_OPENED = 1, /* a 1xx was delivered */
	FTP_DONE = 2,   /* the reply behind it, too; its data may still be on the way */
	FTP_PROGRESS_COUNT_,
};

/* The newest transfer: of the oldest command in the queue, or of one that was answered. */
struct ftp_transfer {
	uint8_t verb;     /* FTP_NONE: there is none */
	uint8_t progress; /* enum ftp_progress */
	bool ascii;
	bool plain;   /* MODE S and STRU F */
	bool counted; /* `count` was in the 1xx */
	bool moved;   /* the directory was changed since */
	uint32_t tag; /* of its data connection */
	uint64_t rest;
	uint64_t count;
	struct ftp_known known;
	struct ftp_lines line; /* the command */
};

/* What becomes of the transfer that was cut. */
enum ftp_action {
	FTP_DO_NOTHING,
	FTP_DO_AFRESH,    /* nothing was transferred: the command is given to the backup */
	FTP_DO_CONTINUE,  /* from a place behind which the kept tail is compared */
	FTP_DO_REREAD,    /* all of it again, what was delivered is compared by digest */
	FTP_DO_UPLOAD,    /* all the client sent is sent again */
	FTP_DO_APPEND,    /* the rest, behind what the backup has of it: see ftp-append.c */
	FTP_DO_DELIVERED, /* every byte of the file was delivered: the client is told so */
	FTP_DO_RETRY,     /* the client is told that it failed */
	FTP_DO_ABORT,     /* the client aborts it, and is told that that was done */
};

/* How to continue. */
struct ftp_decision {
	bool refused;
	bool finished;      /* the conversation is over */
	const char *reason; /* static */
	const char *why;    /* FTP_DO_RETRY: static */
	enum ftp_action action;
	bool confirmable; /* FTP_DO_RETRY: the reply that was cut may say that it is done */
	int related;      /* of the cut: the transfer's data connection; -1: none */
	bool ended;       /* all of its data was delivered, its end too */
	uint64_t n;       /* bytes of it that were delivered, or sent by the client */
	/* FTP_DO_CONTINUE: offset in its log from which is compared; FTP_DO_APPEND: where it
	 * begins. */
	uint64_t tail;
};

/* What the box waits for. */
enum ftp_stage {
	FTP_STAGE_LAZY,      /* the client, before anything is said to the backup */
	FTP_STAGE_GREETING,  /* and from here on a reply of the backup: to nothing, */
	FTP_STAGE_SCRIPT,    /* to a line of the script, */
	FTP_STAGE_SIZE,      /* to a question about the file that was cut, */
	FTP_STAGE_PROOF_ARM, /* to EPSV, REST and RETR by which an upload's beginning is compared,
			      */
	FTP_STAGE_PROOF_REST,
	FTP_STAGE_PROOF,
	FTP_STAGE_STAMP,
	FTP_STAGE_ARM,     /* to EPSV or PASV of the box, */
	FTP_STAGE_REST,    /* to REST of the box, */
	FTP_STAGE_COMMAND, /* to a command of the client; */
	FTP_STAGE_SERVE,   /* nothing: the client is waited for */
	FTP_STAGE_OVER,
};

/* What a data channel is doing. */
enum ftp_work {
	FTP_WORK_WAIT, /* for the client, or for its transfer */
	FTP_WORK_PASS,
	FTP_WORK_COMPARE, /* what the backup sends with the tail in the log, */
	FTP_WORK_DIGEST,  /* or with the digest */
	FTP_WORK_PROOF,   /* or with what the client had sent */
};

/* The data connection of the newest endpoint. */
struct ftp_channel {
	struct jeebs_join *j; /* NULL: there is none yet */
	uint8_t work;         /* enum ftp_work */
	bool up;              /* the client is there, or was */
	bool nobody;          /* made to compare, without the client; */
	bool ended;           /* nothing more goes to the client: the backup must end, too */
	uint16_t backend;     /* the backup's passive port; 0: not asked for yet */
	uint64_t at, end;     /* FTP_WORK_COMPARE, _DIGEST: offsets in what the client has */
	XXH64_state_t digest;
};

struct ftp_resume {
	uint8_t stage;  /* enum ftp_stage */
	uint8_t verb;   /* of the command that is outstanding; FTP_NONE */
	uint8_t behind; /* FTP_ABOR, sent while `verb` is outstanding */
	bool in;        /* it has logged in */
	bool old_pasv;  /* the backup does not know EPSV */
	bool client_eof;
	bool from_queue;    /* the command is from before the cut, */
	bool quiet;         /* and the client has all its replies, */
	bool opened;        /* or those before the final one */
	bool recovering;    /* it is the transfer that was cut */
	bool proving;       /* what the client has is still being compared: replies wait */
	bool spoiled;       /* its data cannot be had: told by the final reply */
	bool mute;          /* the rest of this reply is not for the client */
	bool finished;      /* the backup was told that no more comes */
	const char *unless; /* the backup may only refuse this command; why it ends otherwise */
	uint32_t step;      /* of the script */
	uint64_t rest;      /* for FTP_STAGE_REST, */
	bool rest_set;      /* if there is any */
	struct ftp_decision cut;
	uint64_t digest; /* of what the client has of the data that was cut */
	struct jeebs_join *main;
	uint64_t owed,
		owed_end; /* what the client has of a reply that was cut: offsets of the log */
	struct ftp_channel data;
	/* While the beginning of an upload is compared: */
	struct ftp_channel upload;       /* its own channel */
	uint64_t append_at, append_from; /* offsets of the client's: what the backup has, and from
					    where it is compared */
	bool compared, differs;          /* the bytes were, or were others; */
	bool retrieved;                  /* and the reply came */
	struct ftp_reply reply;
	uint16_t line_n, input_n, held_n;
	uint8_t line[FTP_LINE_MAX];      /* of the backup, not complete */
	uint8_t input[4 * FTP_LINE_MAX]; /* of the client, not dealt with */
	uint8_t held[FTP_LINE_MAX];      /* a reply that waits for `proving` */
};

struct ftp {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	struct ftp_side side[2];
	uint64_t reply_at;      /* where the reply begins that is not complete */
	struct ftp_reply reply; /* what of it was read */
	uint8_t reason;         /* enum ftp_reason */
	uint8_t replay;         /* JEEBS_REPLAY_* */
	bool may_login;
	bool waiting; /* bytes of the server, from its line on, have no command yet */
	bool closing; /* it said that it ends */
	uint8_t queue_n;
	uint8_t kept[FTP_QUEUE_MAX]; /* the password is in the line */
	struct ftp_lines queue;      /* commands without a reply; the greeting is an empty one */
	struct ftp_endpoint endpoint;
	uint8_t passive[4]; /* the address in its last 227; 0.0.0.0: it has not said one */
	struct ftp_known known;
	struct ftp_words done, active; /* 226 to a download, 200 to PORT and EPRT */
	struct ftp_session session;
	struct ftp_transfer transfer;
	struct ftp_resume resume; /* from JEEBS_EV_START on */
};

/* ftp-live.c */
int ftp_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	     const struct jeebs_service *svc);
int ftp_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns);
int ftp_gap(void *state, uint32_t dir, uint64_t from, uint64_t to);
int ftp_fin(void *state, uint32_t dir, uint64_t off);
/* The oldest command without a reply. FTP_NONE: there is none; FTP_GREETING. */
void ftp_oldest(const struct ftp *s, struct ftp_command *ret);

/* ftp-learn.c */
/* The oldest command was told @code, in the line @reply; @ret_leave: JEEBS_HAND_OVER or _GIVE_UP.
 */
void ftp_learn(struct ftp *s, const struct ftp_command *c, uint16_t code, struct bytes reply);
/* A 1xx to it. */
void ftp_learn_preliminary(struct ftp *s, const struct ftp_command *c, struct bytes reply);
/* It has become the oldest. */
void ftp_learn_begun(struct ftp *s, const struct ftp_command *c);

/* ftp-checkpoint.c */
size_t ftp_checkpoint(const void *state, uint8_t *out, size_t cap);
int ftp_restore(void *state, struct jeebs_bytes checkpoint);

/* ftp-plan.c */
void ftp_decide(const struct ftp *s, const struct jeebs_cut *cut, struct ftp_decision *ret);
void ftp_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret);

/* ftp-resume.c */
void ftp_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b);

/* ftp.c */
extern const struct jeebs_module ftp_module;

#endif
