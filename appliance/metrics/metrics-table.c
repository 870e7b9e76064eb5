/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "metrics-table.h"

#include "base/clock.h"

const int64_t metrics_bucket_ns[METRICS_BUCKETS] = {
	1 * NS_PER_MS,  5 * NS_PER_MS,    10 * NS_PER_MS,  25 * NS_PER_MS,
	50 * NS_PER_MS, 100 * NS_PER_MS,  250 * NS_PER_MS, 500 * NS_PER_MS,
	1 * NS_PER_S,   2500 * NS_PER_MS, 5 * NS_PER_S,    10 * NS_PER_S,
};

#define VALUES(...)               \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/* clang-format off */
static const struct {
	const char *name;
	const char *const *values;
} labels[METRICS_LABEL_COUNT_] = {
	[METRICS_LABEL_SERVER] = {"server"},
	[METRICS_LABEL_PROTOCOL] = {"protocol"},
	[METRICS_LABEL_INTERFACE] = {"interface"},
	[METRICS_LABEL_REFUSAL] = {"reason"},
	[METRICS_LABEL_VERSION] = {"version"},
	[METRICS_LABEL_KERNEL] = {"kernel"},
	[METRICS_LABEL_STATE] = {"state", VALUES("unknown", "healthy", "suspect", "service-down", "down",
						 "taking-over", "taken-over", "takeover-waiting")},
	[METRICS_LABEL_MIGRATABLE] = {"migratable", VALUES("false", "true")},
	[METRICS_LABEL_OUTCOME] = {"outcome", VALUES("success", "aborted", "failed")},
	[METRICS_LABEL_RESULT] = {"result", VALUES("continued", "reset", "lost", "gone")},
	[METRICS_LABEL_ENDING] = {"how", VALUES("reset", "cut", "finished")},
	[METRICS_LABEL_PHASE] = {"phase", VALUES("detect", "fence", "guard", "address", "probes", "sockets",
						 "open", "first-byte")},
	[METRICS_LABEL_FENCED] = {"result", VALUES("failed", "ok")},
	[METRICS_LABEL_CHECK] = {"check", VALUES("neighbour", "tcp")},
	[METRICS_LABEL_FAILURE] = {"reason", VALUES("refused", "timeout", "error")},
	[METRICS_LABEL_RULE] = {"rule", VALUES("never-healthy", "traffic-seen", "self-lag",
					       "probe-error", "hold")},
	[METRICS_LABEL_DROP] = {"where", VALUES("ring", "queue")},
	[METRICS_LABEL_DIRECTION] = {"direction", VALUES("to-server", "to-client")},
	[METRICS_LABEL_REJECT] = {"reason", VALUES("bad-rst", "bad-sequence", "bad-checksum",
						"no-ack", "other-mac")},
	[METRICS_LABEL_LOOP] = {"loop", VALUES("capture", "health", "failover", "recovery")},
	[METRICS_LABEL_CONTROL] = {"what", VALUES("clients", "lines", "replies", "timeouts")},
	[METRICS_LABEL_CHANNEL] = {"what", VALUES("opened", "failed", "ceiling", "stranger")},
	[METRICS_LABEL_JOIN_CEILING] = {"what", VALUES("joins", "queue", "connect")},
};

#define COUNTER	 METRICS_COUNTER, false
#define GAUGE	 METRICS_GAUGE, false
#define DURATION METRICS_HISTOGRAM, true
#define L(label) METRICS_LABEL_##label

const struct metrics_desc metrics_table[METRIC_COUNT_] = {
	[METRIC_BUILD_INFO] = {"jeebs_build_info", GAUGE, {L(VERSION), L(KERNEL)},
		"Version of the appliance and of the kernel it runs on; always 1."},
	[METRIC_PROCESS_START] = {"jeebs_process_start_time_seconds", METRICS_GAUGE, true, {0},
		"When the daemon was started, in seconds since the epoch."},
	[METRIC_SERVER_STATE] = {"jeebs_server_state", GAUGE, {L(SERVER), L(STATE)},
		"1 for the state a protected server is in, 0 for the others."},
	[METRIC_SERVER_READY] = {"jeebs_server_ready", GAUGE, {L(SERVER)},
		"Whether a takeover of the server would work now."},
	[METRIC_CONNECTIONS_TRACKED] = {"jeebs_connections_tracked", GAUGE, {L(SERVER), L(PROTOCOL), L(MIGRATABLE)},
		"Live connections, by whether they would be continued now."},
	[METRIC_FAILOVERS] = {"jeebs_failovers_total", COUNTER, {L(SERVER), L(OUTCOME)},
		"Takeovers that ended."},
	[METRIC_CONNECTIONS_MIGRATED] = {"jeebs_connections_migrated_total", COUNTER,
		{L(SERVER), L(PROTOCOL), L(RESULT)}, "What became of the live connections of servers taken over."},
	[METRIC_CONNECTIONS_REFUSED] = {"jeebs_connections_refused_total", COUNTER, {L(SERVER), L(REFUSAL)},
		"Connections that were not continued, by reason."},
	[METRIC_CONNECTIONS_CONTINUING] = {"jeebs_connections_continuing", GAUGE, {L(SERVER)},
		"Restored connections that are not proven to go on yet."},
	[METRIC_CONNECTIONS_ENDED] = {"jeebs_connections_ended_by_service_total", COUNTER, {L(SERVER), L(ENDING)},
		"Connections that a service which went down ended itself: what their clients have is final."},
	[METRIC_FAILOVER_DURATION] = {"jeebs_failover_duration_seconds", DURATION, {L(SERVER)},
		"Time from a server's last sign of life until its clients could go on."},
	[METRIC_PHASE_DURATION] = {"jeebs_failover_phase_duration_seconds", DURATION, {L(PHASE)},
		"Time a takeover spent to complete each phase."},
	[METRIC_FENCING_ACTIONS] = {"jeebs_fencing_actions_total", COUNTER, {L(SERVER), L(FENCED)},
		"Calls of the fence command."},
	[METRIC_ADDRESS_CONFLICTS] = {"jeebs_address_conflicts_total", COUNTER, {L(SERVER)},
		"Signs of another machine that uses an address we have taken over."},
	[METRIC_HEALTH_FAILURES] = {"jeebs_health_check_failures_total", COUNTER, {L(SERVER), L(CHECK), L(FAILURE)},
		"Health probes without a good answer."},
	[METRIC_HEALTH_SUPPRESSED] = {"jeebs_health_verdicts_suppressed_total", COUNTER, {L(SERVER), L(RULE)},
		"Probe rounds after which a server would have been declared dead, but for a rule."},
	[METRIC_CAPTURE_PACKETS] = {"jeebs_capture_packets_total", COUNTER, {L(INTERFACE)},
		"Packets that passed the capture filter."},
	[METRIC_CAPTURE_DROPPED] = {"jeebs_capture_dropped_packets_total", COUNTER, {L(INTERFACE), L(DROP)},
		"Packets the capture lost."},
	[METRIC_CAPTURE_TRUNCATED] = {"jeebs_capture_truncated_packets_total", COUNTER, {L(INTERFACE)},
		"Packets that were captured incompletely."},
	[METRIC_TCP_SEGMENTS] = {"jeebs_tcp_segments_total", COUNTER, {0},
		"Segments that belonged to a tracked connection."},
	[METRIC_TCP_FLOWS_OPENED] = {"jeebs_tcp_flows_opened_total", COUNTER, {0},
		"Connections that entered the table."},
	[METRIC_TCP_FLOWS_CLOSED] = {"jeebs_tcp_flows_closed_total", COUNTER, {0},
		"Connections that left the table."},
	[METRIC_TCP_FLOWS_MIDSTREAM] = {"jeebs_tcp_flows_midstream_total", COUNTER, {0},
		"Connections whose handshake was not seen."},
	[METRIC_TCP_FLOWS_INFERRED] = {"jeebs_tcp_flows_inferred_total", COUNTER, {0},
		"Of these, those whose TCP options became known from their traffic."},
	[METRIC_TCP_FLOWS_EVICTED] = {"jeebs_tcp_flows_evicted_total", COUNTER, {0},
		"Half-open connections forgotten because the table was full."},
	[METRIC_TCP_FLOWS_REFUSED] = {"jeebs_tcp_flows_refused_total", COUNTER, {0},
		"Connections not tracked because the table was full."},
	[METRIC_TCP_GAPS] = {"jeebs_tcp_gaps_total", COUNTER, {L(SERVER), L(DIRECTION)},
		"Holes in captured streams."},
	[METRIC_TCP_GAP_BYTES] = {"jeebs_tcp_gap_bytes_total", COUNTER, {L(SERVER), L(DIRECTION)},
		"Bytes missing from captured streams."},
	[METRIC_TCP_OUT_OF_ORDER] = {"jeebs_tcp_out_of_order_segments_total", COUNTER, {L(DIRECTION)},
		"Segments that came before their turn."},
	[METRIC_TCP_WAITED] = {"jeebs_tcp_waited_segments_total", COUNTER, {L(DIRECTION)},
		"Segments seen before what their sender had received when it sent them: they waited for it."},
	[METRIC_TCP_WAIT_REFUSED] = {"jeebs_tcp_wait_refused_segments_total", COUNTER, {L(DIRECTION)},
		"Segments that found no room to wait: what they should wait for was given up."},
	[METRIC_TCP_RETRANSMITS] = {"jeebs_tcp_retransmitted_segments_total", COUNTER, {L(DIRECTION)},
		"Segments whose bytes had been seen before."},
	[METRIC_TCP_AMBIGUOUS] = {"jeebs_tcp_ambiguous_segments_total", COUNTER, {L(DIRECTION)},
		"Segments whose bytes differ from those seen before in their place."},
	[METRIC_TCP_REJECTED] = {"jeebs_tcp_rejected_segments_total", COUNTER, {L(REJECT)},
		"Segments that were not believed."},
	[METRIC_TCP_BUFFER_REFUSED] = {"jeebs_tcp_buffer_refused_bytes_total", COUNTER, {0},
		"Bytes not kept because a buffer was at its ceiling."},
	[METRIC_PROTOCOL_UNKNOWN] = {"jeebs_protocol_unknown_total", COUNTER, {0},
		"Connections of protocol auto whose first bytes no module knew."},
	[METRIC_STORE_BYTES] = {"jeebs_store_bytes", GAUGE, {0},
		"Size of the connection store."},
	[METRIC_STORE_LIMIT_BYTES] = {"jeebs_store_limit_bytes", GAUGE, {0},
		"Size the connection store may grow to."},
	[METRIC_STORE_RECORDS] = {"jeebs_store_records", GAUGE, {0},
		"Connections in the store."},
	[METRIC_STORE_COMMIT_DURATION] = {"jeebs_store_commit_duration_seconds", DURATION, {0},
		"Time to commit one batch to the store."},
	[METRIC_STORE_ERRORS] = {"jeebs_store_errors_total", COUNTER, {0},
		"Changes that could not be stored, for lack of room or because writing failed."},
	[METRIC_STORE_FAILING] = {"jeebs_store_failing", GAUGE, {0},
		"1 while changes fail otherwise than for lack of room, and ten seconds after."},
	[METRIC_STORE_READER_AGE] = {"jeebs_store_oldest_reader_seconds", GAUGE, {0},
		"How long the oldest view of a log in the store has been open."},
	[METRIC_STORE_DEFERRED] = {"jeebs_store_deferred_flushes_total", COUNTER, {0},
				   "Flushes that left changes for the next: no time, or the store was behind."},
	[METRIC_STORE_SPILLED_BYTES] = {"jeebs_store_spilled_bytes", GAUGE, {0},
		"Size of the parts of long logs in the store."},
	[METRIC_STORE_SPILL_REFUSED] = {"jeebs_store_spill_refused_total", COUNTER, {0},
		"Parts of long logs for which the store had no room."},
	[METRIC_JOIN_SPLICED_BYTES] = {"jeebs_join_spliced_bytes_total", COUNTER, {0},
		"Bytes of continued connections that passed without a copy."},
	[METRIC_JOIN_KEPT_CEILING] = {"jeebs_join_kept_ceiling_total", COUNTER, {0},
		"How often so much was kept for slow clients that everybody was read a page at a time."},
	[METRIC_JOIN_BUFFER_STARVED] = {"jeebs_join_buffer_starved_total", COUNTER, {0},
		"Reads of continued connections that had to wait for a shared buffer."},
	[METRIC_JOIN_CHANNELS] = {"jeebs_join_channels_total", COUNTER, {L(CHANNEL)},
		"New connections between clients and a taken service that a module opened, and what kept them from it."},
	[METRIC_JOIN_RING_FAILED] = {"jeebs_join_ring_failures_total", COUNTER, {0},
		"Failures of a thread's io_uring, with each of which its continued connections were reset."},
	[METRIC_JOIN_THREADS_BROKEN] = {"jeebs_join_threads_broken", GAUGE, {0},
		"Threads that could not go on after such a failure, and take no connections."},
	[METRIC_JOIN_CEILING] = {"jeebs_join_ceiling_total", COUNTER, {L(JOIN_CEILING)},
		"Ceilings hit by continued connections: no place, too much queued, no descriptor or port to the backup."},
	[METRIC_LOOP_LAG] = {"jeebs_event_loop_lag_seconds", DURATION, {L(LOOP)},
		"How late a loop of the daemon got to run."},
	[METRIC_CONTROL_REFUSED] = {"jeebs_control_refused_total", COUNTER, {L(CONTROL)},
		"Ceilings hit on the control socket."},
};
/* clang-format on */

const char *metrics_label_name(enum metrics_label label)
{
	return labels[label].name;
}

const char *const *metrics_label_values(enum metrics_label label)
{
	return labels[label].values;
}
