/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ftp: the state of one FTP control connection, shared by the files of this module.
 *
 * THEORY OF OPERATION
 *
 * Live, the client's lines are commands. They wait in a queue for their replies, which come in
 * order. From each pair the session is learned: who has logged in, the directory, the settings, and
 * where the next data connection will be, which is then expected (ftp-live.c). Of the log only the
 * client's unfinished line and the server's unfinished reply are needed.
 *
 * At a failover ftp_decide() says what becomes of the data connection and of the commands without a
 * reply. A script of commands gives the backup the session. The cut transfer is continued. Then the
 * module stays between the two for good, because addresses in replies must be the box's own. One
 * command is outstanding at a time.
 */
#ifndef FTP_FTP_H
#define FTP_FTP_H

#include "ftp-data.h"
#include "ftp-reply.h"
#include "ftp-session.h"

#define FTP_LINE_MAX    1024u
#define FTP_REPLY_MAX   65536u /* how much is kept of a reply of several lines */
#define FTP_QUEUE_MAX   32u
#define FTP_WAITING_MAX 65536u /* bytes of the server that wait for their command */
#define FTP_STAMP_MAX   24u    /* YYYYMMDDHHMMSS.sss */
#define FTP_WORDS_MAX   64u

/* Why nothing can be recovered any more. ftp_reason_name() has the names. The numbers are stored
 * in checkpoints. */
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
	FTP_CLEAR = 10,
	FTP_REASON_COUNT_,
};

struct ftp_side {
	uint64_t next; /* offset of the next byte that will be shown */
	uint64_t line; /* offset of the incomplete line */
};

/* Where the next data connection will be. */
struct ftp_endpoint {
	uint8_t verb;                 /* FTP_PASV, FTP_EPSV, FTP_PORT, FTP_EPRT; FTP_NONE */
	uint32_t tag;                 /* of its expectation */
	struct jeebs_address address; /* PORT, EPRT: the client's; otherwise only the port */
};

/* What the server has said about a file. */
struct ftp_known {
	uint64_t file; /* digest of the file's name; 0: nothing is known */
	uint64_t size;
	bool sized;
	uint8_t stamp_n;
	uint8_t stamp[FTP_STAMP_MAX]; /* from MDTM */
};

/* The server's words for a reply that the box must send itself. */
struct ftp_words {
	uint8_t verb; /* FTP_NONE: the server has not used them yet */
	uint8_t n;
	uint8_t text[FTP_WORDS_MAX]; /* after the code, without line end */
};

enum ftp_progress {
	FTP_ASKED = 0,
	FTP_OPENED = 1, /* a 1xx was delivered */
	FTP_DONE = 2,   /* the final reply was delivered, too; data may still be under way */
	FTP_PROGRESS_COUNT_,
};

/* The newest transfer: that of the oldest command in the queue, or of an answered one. */
struct ftp_transfer {
	uint8_t verb;     /* FTP_NONE: there is none */
	uint8_t progress; /* enum ftp_progress */
	bool ascii;
	bool plain;   /* MODE S and STRU F */
	bool counted; /* the 1xx contained `count` */
	bool moved;   /* the directory has changed since */
	uint32_t tag; /* of its data connection */
	uint64_t rest;
	uint64_t count;
	struct ftp_known known;
	struct ftp_lines line; /* the command */
};

/* What is done about the cut transfer. */
enum ftp_action {
	FTP_DO_NOTHING,
	FTP_DO_AFRESH,    /* nothing was transferred: the backup gets the command */
	FTP_DO_CONTINUE,  /* continued from a place after which the kept tail is compared */
	FTP_DO_REREAD,    /* all is transferred again, and the delivered part compared by digest */
	FTP_DO_UPLOAD,    /* all the client's bytes are sent again */
	FTP_DO_APPEND,    /* the rest is sent, behind what the backup has, see ftp-append.c */
	FTP_DO_DELIVERED, /* the whole file was delivered, and the client is told so */
	FTP_DO_RETRY,     /* the client is told that it failed */
	FTP_DO_ABORT,     /* the client has aborted it, and gets the reply to that */
};

/* The decision how to continue. */
struct ftp_decision {
	bool refused;
	bool finished;      /* the conversation is over */
	const char *reason; /* static text */
	const char *why;    /* FTP_DO_RETRY: static text */
	enum ftp_action action;
	bool confirmable; /* FTP_DO_RETRY: the cut reply may be completed as a success */
	int related;      /* index in the cut of the transfer's data connection; -1: none */
	bool ended;       /* all of its data was delivered, with the FIN */
	uint64_t n;       /* bytes of it that were delivered, or that the client has sent */
	/* FTP_DO_CONTINUE: offset in the log from which bytes are compared. FTP_DO_APPEND:
	 * offset where the log begins. */
	uint64_t tail;
};

/* What the box waits for. */
enum ftp_stage {
	FTP_STAGE_LAZY,     /* for the client, before the backup is told anything */
	FTP_STAGE_GREETING, /* for the backup's greeting; then for its reply */
	FTP_STAGE_AUTH,     /* to AUTH, and for the backup's TLS */
	FTP_STAGE_SCRIPT,   /* to a line of the script */
	FTP_STAGE_SIZE,     /* to a question about the file of the cut transfer */
	/* To EPSV, REST and RETR, by which the beginning of an upload is compared. */
	FTP_STAGE_PROOF_ARM,
	FTP_STAGE_PROOF_REST,
	FTP_STAGE_PROOF,
	FTP_STAGE_STAMP,
	FTP_STAGE_ARM,     /* to EPSV or PASV of the box */
	FTP_STAGE_REST,    /* to REST of the box */
	FTP_STAGE_COMMAND, /* to a command of the client */
	FTP_STAGE_SERVE,   /* for the client's next command */
	FTP_STAGE_OVER,
};

/* What a data channel does. */
enum ftp_work {
	FTP_WORK_WAIT, /* waits for the client, or for its transfer */
	FTP_WORK_PASS,
	FTP_WORK_COMPARE, /* compares the backup's bytes with the tail in the log */
	FTP_WORK_DIGEST,  /* compares them with the digest */
	FTP_WORK_PROOF,   /* compares them with what the client has sent */
};

/* The data connection of the newest endpoint. */
struct ftp_channel {
	struct jeebs_join *j; /* NULL: there is none yet */
	uint8_t work;         /* enum ftp_work */
	bool up;              /* the client is there, or was */
	bool nobody;          /* made for a comparison, without a client */
	bool ended;           /* nothing more goes to the client: the backup must end, too */
	uint16_t backend;     /* the backup's passive port; 0: not asked for yet */
	uint64_t at, end;     /* FTP_WORK_COMPARE, _DIGEST: offsets in what the client has */
	XXH64_state_t digest;
};

struct ftp_resume {
	uint8_t stage;  /* enum ftp_stage */
	uint8_t verb;   /* of the outstanding command; FTP_NONE: there is none */
	uint8_t behind; /* FTP_ABOR, if it was sent while `verb` is outstanding */
	bool in;        /* the box has logged in at the backup */
	bool old_pasv;  /* the backup does not know EPSV */
	bool client_eof;
	bool from_queue; /* the command is from before the cut */
	bool quiet;      /* the client has all its replies */
	bool opened;     /* the client has its replies except the final one */
	bool had;        /* it had them at the cut already */
	bool told;       /* the client had a 1xx to the oldest command at the cut */
	bool recovering; /* it is the cut transfer */
	bool proving;    /* what the client has is still being compared: replies wait */
	bool spoiled;    /* its data cannot be had: the final reply will say so */
	bool mute;       /* the rest of this reply is not for the client */
	bool finished;   /* the backup has been sent the FIN */
	bool left;       /* QUIT was answered */
	/* The backup may only refuse this command: why the conversation ends otherwise. */
	const char *unless;
	uint32_t step; /* of the script */
	uint64_t rest; /* for FTP_STAGE_REST */
	bool rest_set; /* `rest` is valid */
	struct ftp_decision cut;
	uint64_t digest; /* of what the client has of the cut transfer's data */
	struct jeebs_join *main;
	uint64_t owed, owed_end; /* log offsets: what the client has of a cut reply */
	struct ftp_channel data;
	/* While the beginning of an upload is compared: */
	struct ftp_channel upload; /* the upload's own channel */
	/* Offsets of the client's bytes: what the backup has, and from where it is compared. */
	uint64_t append_at, append_from;
	bool compared, differs; /* the bytes were compared; they differ */
	bool retrieved;         /* the reply has come */
	struct ftp_reply reply;
	uint16_t line_n, input_n, held_n;
	uint8_t line[FTP_LINE_MAX];      /* the backup's incomplete line */
	uint8_t input[4 * FTP_LINE_MAX]; /* the client's bytes that were not handled */
	uint8_t held[FTP_LINE_MAX];      /* a reply that waits for `proving` */
};

struct ftp {
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
	struct ftp_side side[2];
	uint64_t reply_at;      /* offset of the incomplete reply */
	struct ftp_reply reply; /* what was read of it */
	uint8_t reason;         /* enum ftp_reason */
	uint8_t replay;         /* JEEBS_REPLAY_* */
	bool may_login;
	bool upgraded; /* it began in plain, and this is what was said behind AUTH */
	bool waiting;  /* the server's bytes, from its line on, have no command yet */
	bool closing;  /* the server has said that it closes the connection */
	uint8_t queue_n;
	uint8_t kept[FTP_QUEUE_MAX]; /* by place in the queue: the password is in the line */
	struct ftp_lines queue;      /* commands without a reply; the greeting is an empty line */
	struct ftp_endpoint endpoint;
	uint8_t passive[4]; /* the address in the server's last 227; 0.0.0.0: there was none */
	struct ftp_known known;
	/* The server's 226 to a download, and its 200 to PORT and EPRT. */
	struct ftp_words done, active;
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
/* The oldest command without a reply, or FTP_GREETING. FTP_NONE: there is none. */
void ftp_oldest(const struct ftp *s, struct ftp_command *ret);

/* ftp-learn.c */
/* Learns from the final reply to the oldest command: its @code, and its line @reply. */
void ftp_learn(struct ftp *s, const struct ftp_command *c, uint16_t code, struct bytes reply);
/* Learns from a 1xx to it. */
void ftp_learn_preliminary(struct ftp *s, const struct ftp_command *c, struct bytes reply);
/* The command has become the oldest one. */
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
