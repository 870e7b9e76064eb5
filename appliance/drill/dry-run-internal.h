/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the dry run share: dry-run.c (services, the passes of one cut, exit
 * codes) and dry-run-every.c (the passes of the every-cut drill).
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
#include "watch/related.h"
#include "services/services.h"

#define DRILL_ORACLES_MAX 32

/*
 * What is known of that which only the whole file tells: whose checksums mean something, and who
 * the server is, if it is not named.
 */
enum drill_survey {
	DRILL_AS_READ, /* it can be read once only: by what was read so far */
	DRILL_GUESSES, /* the present pass guesses, counts, and at its end looks whether it was
			  right */
	DRILL_COUNTED, /* all */
};

struct drill {
	const struct dry_run_options *opt;
	FILE *err;
	struct pcap_file *file;
	struct module_host *modules;
	struct related_list expected; /* while rows are made */
	struct services services;
	char *server_name;               /* of a server given by its address */
	const struct jeebs_module *http; /* for a server given without protocol */
	struct watch *watch;
	enum drill_survey survey;
	struct drill_sums sums;
	struct drill_responders responders; /* if the server is to be found */
	uint64_t sampled;                   /* packets, for the guess at the server */
	bool behind_cut;                    /* the rest is counted only */
	struct busiest {
		uint32_t live;   /* most connections at once */
		uint64_t from;   /* first packet of the present stretch with so many; 0: none */
		uint64_t length; /* packets of the longest such stretch */
		uint64_t middle; /* its middle packet */
	} busiest;
	uint64_t stop_packet; /* 0: time or end */
	int64_t stop_ns;      /* absolute; INT64_MAX: none */
	struct drill_oracle { /* by module; NULL: it has none */
		const struct jeebs_module *module;
		const struct jeebs_oracle *oracle;
	} oracle[DRILL_ORACLES_MAX];
	uint32_t oracle_count;
	int r;
	int damage; /* the first a pass met: PCAP_FILE_TRUNCATED and the like; 0: none */
	struct pcap_file_position damaged_at;
	bool no_module;   /* explained where it was asked for */
	bool not_written; /* the report */
	struct dry_run_report report;
	struct drill_report every; /* instead of its cut, rows and totals */
};

/* One pass over the file. Negative errno, 0 or PCAP_FILE_NOT_A_CAPTURE; other damage is noted. */
int dry_run_read_all(struct drill *d, frame_fn fn, void *ctx);
/*
 * One frame into @t, counted in the report. The flow it changed, or NULL; *ret_tcp: it was a TCP
 * segment, which is in *ret then, whether it was believed or not.
 */
struct flow *dry_run_track_frame(struct drill *d, struct track *t, const struct frame *f,
				 struct segment *ret, bool *ret_tcp);
/* How both passes track. */
struct track_config dry_run_track_config(void);
/* A watch of the drill's services; @modules: with them. NULL: no memory. */
struct watch *dry_run_new_watch(struct drill *d, bool modules);

/* Says in the report what damage was met, and what was believed of nobody. */
void dry_run_note_capture(struct drill *d);

/* dry-run-every.c: all its passes, and the report. As dry_run_read_all(); -EIO: not written. */
int dry_run_every(struct drill *d, FILE *out);

#endif
