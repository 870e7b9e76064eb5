/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the dry run share: dry-run.c (services, the passes of one cut, exit codes) and
 * dry-run-every.c (the passes of the every-cut drill).
 */
#ifndef APPLIANCE_DRY_RUN_INTERNAL_H
#define APPLIANCE_DRY_RUN_INTERNAL_H

#include "drill-report.h"
#include "drill-responders.h"
#include "drill-sums.h"
#include "dry-run-report.h"
#include "dry-run.h"
#include "recovery-modules/host/module-host.h"
#include "capture/pcap-file.h"
#include "keyvault/crypto/key-log-index.h"
#include "watch/related.h"
#include "services/services.h"

#define DRILL_ORACLES_MAX 32

/*
 * How much is known of what only the whole file tells: whose checksums mean something, and which
 * address is the server if none is named.
 */
enum drill_survey {
	DRILL_AS_READ, /* the file can be read only once: what was read so far decides */
	DRILL_GUESSES, /* the current pass guesses and counts, and checks its guesses at the end */
	DRILL_COUNTED, /* everything is known */
};

struct drill {
	const struct dry_run_options *opt;
	FILE *err;
	struct pcap_file *file;
	struct key_log_index *keys;
	struct module_host *modules;
	struct related_list expected; /* while rows are made */
	struct services services;
	char *server_name;               /* of a server given by its address */
	const struct jeebs_module *http; /* for a server given without protocol */
	struct watch *watch;
	enum drill_survey survey;
	struct drill_sums sums;
	struct drill_responders responders; /* if the server is to be found */
	uint64_t sampled;                   /* packets read for the guess at the server */
	bool behind_cut;                    /* the rest of the file is only counted */
	struct busiest {
		uint32_t live;   /* highest number of connections at once */
		uint64_t from;   /* first packet of the current stretch with that number; 0: none */
		uint64_t length; /* packets in the longest such stretch */
		uint64_t middle; /* the packet in its middle */
	} busiest;
	uint64_t stop_packet; /* 0: the time or the end decides */
	int64_t stop_ns;      /* absolute; INT64_MAX: none */
	struct drill_oracle { /* by module; NULL: it has no oracle */
		const struct jeebs_module *module;
		const struct jeebs_oracle *oracle;
	} oracle[DRILL_ORACLES_MAX];
	uint32_t oracle_count;
	int r;
	int damage; /* the first damage that a pass met: PCAP_FILE_TRUNCATED etc.; 0: none */
	struct pcap_file_position damaged_at;
	bool no_module;   /* it was explained where it was asked for */
	bool no_keys;     /* their file cannot be read, which was said */
	bool not_written; /* writing the report failed */
	struct dry_run_report report;
	struct drill_report every; /* replaces its cut, rows and totals */
};

/*
 * Makes one pass over the file. Returns a negative errno, 0 or PCAP_FILE_NOT_A_CAPTURE. Other
 * damage is noted.
 */
int dry_run_read_all(struct drill *d, frame_fn fn, void *ctx);
/*
 * Gives one frame to @t and counts it in the report. Returns the flow that it changed, or NULL.
 * *ret_tcp: *ret is the frame's TCP segment, believed or not.
 */
struct flow *dry_run_track_frame(struct drill *d, struct track *t, const struct frame *f,
				 struct segment *ret, bool *ret_tcp);
/* The tracker's limits for both passes. */
struct track_config dry_run_track_config(void);
/* Makes a watch of the drill's services, with modules if @modules. NULL: no memory. */
struct watch *dry_run_new_watch(struct drill *d, bool modules);

/* dry-run-again.c: lets bytes pass unread, if the file can be read again. */
void dry_run_read_again(struct drill *d, struct track *t);

/* Notes in the report which damage was met, and which senders' checksums were not used. */
void dry_run_note_capture(struct drill *d);

/*
 * dry-run-every.c: makes all passes and writes the report. Returns as dry_run_read_all(); -EIO:
 * writing failed.
 */
int dry_run_every(struct drill *d, FILE *out);

#endif
