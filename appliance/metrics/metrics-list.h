/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-list: every label and every metric, each written once.
 *
 * metrics.h makes enumerations of the list and metrics-table.c makes tables of it. Whoever includes
 * it defines first what it needs:
 *
 *	LABEL(id, name)                          METRICS_LABEL_id
 *	VALUE(label, id, text)                   METRIC_label_id, the index of one of its values
 *	METRIC(id, type, name, help, labels...)  METRIC_id, indexed by its labels in this order
 *
 * A label without values gets them when the daemon starts.
 */
#ifndef LABEL
#define LABEL(id, name)
#endif
#ifndef VALUE
#define VALUE(label, id, text)
#endif
#ifndef METRIC
#define METRIC(id, type, name, help, ...)
#endif

/* clang-format off */

LABEL(SERVER, "server")       /* index in the configuration */
LABEL(PROTOCOL, "protocol")   /* metrics_protocol() */
LABEL(INTERFACE, "interface") /* index in the configuration, then in config_listens() */
LABEL(REFUSAL, "reason")      /* metrics_reason() */
LABEL(VAULT, "vault")         /* index in the configuration */
LABEL(VERSION, "version")
LABEL(KERNEL, "kernel")

LABEL(STATE, "state") /* in the order of enum health_state */
VALUE(STATE, UNKNOWN, "unknown")
VALUE(STATE, HEALTHY, "healthy")
VALUE(STATE, SUSPECT, "suspect")
VALUE(STATE, SERVICE_DOWN, "service-down")
VALUE(STATE, DOWN, "down")
VALUE(STATE, TAKING_OVER, "taking-over")
VALUE(STATE, TAKEN_OVER, "taken-over")
VALUE(STATE, TAKEOVER_WAITING, "takeover-waiting")

LABEL(MIGRATABLE, "migratable") /* a bool */
VALUE(MIGRATABLE, NO, "false")
VALUE(MIGRATABLE, YES, "true")

LABEL(OUTCOME, "outcome")
VALUE(OUTCOME, SUCCESS, "success")
VALUE(OUTCOME, ABORTED, "aborted") /* called off before the address was taken */
VALUE(OUTCOME, FAILED, "failed")
VALUE(OUTCOME, FALSE_ALARM, "false-alarm") /* called off, because the server lives */

LABEL(RESULT, "result")
VALUE(RESULT, CONTINUED, "continued")
VALUE(RESULT, RESET, "reset") /* refused: counted by reason in jeebs_connections_refused_total */
VALUE(RESULT, LOST, "lost")   /* restored, and reset by the box before it was proven to go on */
VALUE(RESULT, GONE, "gone")   /* the client was gone, or went away */

LABEL(ENDING, "how") /* enum ending */
VALUE(ENDING, RESET, "reset")
VALUE(ENDING, CUT, "cut")
VALUE(ENDING, FINISHED, "finished")

LABEL(PHASE, "phase") /* enum failover_phase */
VALUE(PHASE, DETECT, "detect")
VALUE(PHASE, FENCE, "fence")
VALUE(PHASE, GUARD, "guard")
VALUE(PHASE, ADDRESS, "address")
VALUE(PHASE, PROBES, "probes")
VALUE(PHASE, SOCKETS, "sockets")
VALUE(PHASE, OPEN, "open")
VALUE(PHASE, FIRST_BYTE, "first-byte")

LABEL(FENCED, "result") /* a bool */
VALUE(FENCED, NO, "failed")
VALUE(FENCED, YES, "ok")

LABEL(CHECK, "check") /* enum health_kind */
VALUE(CHECK, NEIGHBOUR, "neighbour")
VALUE(CHECK, TCP, "tcp")

LABEL(FAILURE, "reason")
VALUE(FAILURE, REFUSED, "refused")
VALUE(FAILURE, TIMEOUT, "timeout")
VALUE(FAILURE, ERROR, "error")

LABEL(RULE, "rule") /* enum health_rule without its first value */
VALUE(RULE, NEVER_HEALTHY, "never-healthy")
VALUE(RULE, TRAFFIC_SEEN, "traffic-seen")
VALUE(RULE, SELF_LAG, "self-lag")
VALUE(RULE, PROBE_ERROR, "probe-error")
VALUE(RULE, HOLD, "hold")
VALUE(RULE, CUT_OFF, "cut-off")

LABEL(DROP, "where")
VALUE(DROP, RING, "ring")   /* the packet ring was full */
VALUE(DROP, QUEUE, "queue") /* taken from the ring, but not processed */

LABEL(DIRECTION, "direction") /* enum flow_dir */
VALUE(DIRECTION, TO_SERVER, "to-server")
VALUE(DIRECTION, TO_CLIENT, "to-client")

LABEL(REJECT, "reason")
VALUE(REJECT, BAD_RST, "bad-rst")
VALUE(REJECT, BAD_SEQ, "bad-sequence")
VALUE(REJECT, BAD_SUM, "bad-checksum")
VALUE(REJECT, NO_ACK, "no-ack")
VALUE(REJECT, OTHER_MAC, "other-mac")

LABEL(LOOP, "loop")
VALUE(LOOP, CAPTURE, "capture")
VALUE(LOOP, HEALTH, "health")
VALUE(LOOP, FAILOVER, "failover")
VALUE(LOOP, RECOVERY, "recovery")

LABEL(CONTROL, "what")
VALUE(CONTROL, CLIENTS, "clients")
VALUE(CONTROL, LINES, "lines")
VALUE(CONTROL, REPLIES, "replies")
VALUE(CONTROL, TIMEOUTS, "timeouts")

LABEL(CHANNEL, "what")
VALUE(CHANNEL, OPENED, "opened")
VALUE(CHANNEL, FAILED, "failed") /* its client did not come */
VALUE(CHANNEL, CEILING, "ceiling")
VALUE(CHANNEL, STRANGER, "stranger") /* a connection from an unexpected address came */

LABEL(KEYED, "keys") /* a bool */
VALUE(KEYED, NO, "false")
VALUE(KEYED, YES, "true")

LABEL(KEYS_REASON, "reason") /* enum seal_reason without its first value, then enum keys_reason */
VALUE(KEYS_REASON, TRUNCATED, "truncated")
VALUE(KEYS_REASON, MALFORMED, "malformed")
VALUE(KEYS_REASON, NOT_FOR_US, "not-for-us")
VALUE(KEYS_REASON, UNKNOWN_EPOCH, "unknown-epoch")
VALUE(KEYS_REASON, FORGED, "forged")
VALUE(KEYS_REASON, STRANGER, "stranger")
VALUE(KEYS_REASON, NOT_AN_ORIGIN, "not-an-origin")
VALUE(KEYS_REASON, REVOKED, "revoked")
VALUE(KEYS_REASON, EXPIRED, "expired")
VALUE(KEYS_REASON, STALE, "stale")
VALUE(KEYS_REASON, FUTURE, "future")
VALUE(KEYS_REASON, FOREIGN_ORIGIN, "foreign-origin")
VALUE(KEYS_REASON, FOREIGN_ADDRESS, "foreign-address")
VALUE(KEYS_REASON, REPLAYED, "replayed")
VALUE(KEYS_REASON, OTHER_SESSION, "other-session")
VALUE(KEYS_REASON, EPOCH_DUE, "epoch-due") /* a sealer's: never here */
VALUE(KEYS_REASON, MISSING, "missing")
VALUE(KEYS_REASON, UNREACHABLE, "vault-unreachable")
VALUE(KEYS_REASON, VAULT_REFUSED, "vault-refused")
VALUE(KEYS_REASON, DEADLINE, "deadline")
VALUE(KEYS_REASON, NOT_APPROVED, "not-approved")
VALUE(KEYS_REASON, NO_ROOM, "no-room")
VALUE(KEYS_REASON, NOT_OPENED, "not-opened")
VALUE(KEYS_REASON, CLOSING, "closing")

LABEL(KEYS_CEILING, "what")
VALUE(KEYS_CEILING, SESSIONS, "sessions")
VALUE(KEYS_CEILING, ORDERS, "orders") /* what workers tell of */
VALUE(KEYS_CEILING, RECORDS, "records")
VALUE(KEYS_CEILING, MEMORY, "memory")

LABEL(KEYS_APPROVAL, "result")
VALUE(KEYS_APPROVAL, APPROVED, "approved")
VALUE(KEYS_APPROVAL, REFUSED, "refused")
VALUE(KEYS_APPROVAL, LATE, "late")

LABEL(JOIN_CEILING, "what")
VALUE(JOIN_CEILING, JOINS, "joins")
VALUE(JOIN_CEILING, QUEUE, "queue")
VALUE(JOIN_CEILING, CONNECT, "connect")

LABEL(HANDSHAKE, "handshake")
VALUE(HANDSHAKE, FULL, "full")
VALUE(HANDSHAKE, RESUMED, "resumed") /* with a ticket of another connection */
VALUE(HANDSHAKE, FAILED, "failed")

METRIC(BUILD_INFO, GAUGE, "jeebs_build_info",
       "Version of the appliance and of the kernel it runs on; always 1.", L(VERSION), L(KERNEL))
METRIC(PROCESS_START, TIME, "jeebs_process_start_time_seconds",
       "When the daemon was started, in seconds since the epoch.")
METRIC(SERVER_STATE, GAUGE, "jeebs_server_state",
       "1 for the state a protected server is in, 0 for the others.", L(SERVER), L(STATE))
METRIC(SERVER_READY, GAUGE, "jeebs_server_ready",
       "Whether a takeover of the server would work now.", L(SERVER))
METRIC(CONNECTIONS_TRACKED, GAUGE, "jeebs_connections_tracked",
       "Live connections, by whether they would be continued now.", L(SERVER), L(PROTOCOL), L(MIGRATABLE))
METRIC(FAILOVERS, COUNTER, "jeebs_failovers_total",
       "Takeovers that ended.", L(SERVER), L(OUTCOME))
METRIC(CONNECTIONS_MIGRATED, COUNTER, "jeebs_connections_migrated_total",
       "What became of the live connections of servers taken over.", L(SERVER), L(PROTOCOL), L(RESULT))
METRIC(CONNECTIONS_REFUSED, COUNTER, "jeebs_connections_refused_total",
       "Connections that were not continued, by reason.", L(SERVER), L(REFUSAL))
METRIC(CONNECTIONS_CONTINUING, GAUGE, "jeebs_connections_continuing",
       "Restored connections that are not proven to go on yet.", L(SERVER))
METRIC(CONNECTIONS_ENDED, COUNTER, "jeebs_connections_ended_by_service_total",
       "Connections that a service which went down ended itself: what their clients have is final.", L(SERVER), L(ENDING))
METRIC(FAILOVER_DURATION, DURATION, "jeebs_failover_duration_seconds",
       "Time from a server's last sign of life until its clients could go on.", L(SERVER))
METRIC(PHASE_DURATION, DURATION, "jeebs_failover_phase_duration_seconds",
       "Time a takeover spent to complete each phase.", L(PHASE))
METRIC(FENCING_ACTIONS, COUNTER, "jeebs_fencing_actions_total",
       "Calls of the fence command.", L(SERVER), L(FENCED))
METRIC(ADDRESS_CONFLICTS, COUNTER, "jeebs_address_conflicts_total",
       "Signs of another machine that uses an address we have taken over.", L(SERVER))
METRIC(HEALTH_FAILURES, COUNTER, "jeebs_health_check_failures_total",
       "Health probes without a good answer.", L(SERVER), L(CHECK), L(FAILURE))
METRIC(HEALTH_SUPPRESSED, COUNTER, "jeebs_health_verdicts_suppressed_total",
       "Probe rounds after which a server would have been declared dead, but for a rule.", L(SERVER), L(RULE))
METRIC(CAPTURE_PACKETS, COUNTER, "jeebs_capture_packets_total",
       "Packets that passed the capture filter.", L(INTERFACE))
METRIC(CAPTURE_DROPPED, COUNTER, "jeebs_capture_dropped_packets_total",
       "Packets the capture lost.", L(INTERFACE), L(DROP))
METRIC(CAPTURE_TRUNCATED, COUNTER, "jeebs_capture_truncated_packets_total",
       "Packets that were captured incompletely.", L(INTERFACE))
METRIC(TCP_SEGMENTS, COUNTER, "jeebs_tcp_segments_total",
       "Segments that belonged to a tracked connection.")
METRIC(TCP_FLOWS_OPENED, COUNTER, "jeebs_tcp_flows_opened_total",
       "Connections that entered the table.")
METRIC(TCP_FLOWS_CLOSED, COUNTER, "jeebs_tcp_flows_closed_total",
       "Connections that left the table.")
METRIC(TCP_FLOWS_MIDSTREAM, COUNTER, "jeebs_tcp_flows_midstream_total",
       "Connections whose handshake was not seen.")
METRIC(TCP_FLOWS_INFERRED, COUNTER, "jeebs_tcp_flows_inferred_total",
       "Of these, those whose TCP options became known from their traffic.")
METRIC(TCP_FLOWS_EVICTED, COUNTER, "jeebs_tcp_flows_evicted_total",
       "Half-open connections forgotten because the table was full.")
METRIC(TCP_FLOWS_REFUSED, COUNTER, "jeebs_tcp_flows_refused_total",
       "Connections not tracked because the table was full.")
METRIC(TCP_GAPS, COUNTER, "jeebs_tcp_gaps_total",
       "Holes in captured streams.", L(SERVER), L(DIRECTION))
METRIC(TCP_GAP_BYTES, COUNTER, "jeebs_tcp_gap_bytes_total",
       "Bytes missing from captured streams.", L(SERVER), L(DIRECTION))
METRIC(TCP_OUT_OF_ORDER, COUNTER, "jeebs_tcp_out_of_order_segments_total",
       "Segments that came before their turn.", L(DIRECTION))
METRIC(TCP_WAITED, COUNTER, "jeebs_tcp_waited_segments_total",
       "Segments seen before what their sender had received when it sent them: they waited for it.", L(DIRECTION))
METRIC(TCP_WAIT_REFUSED, COUNTER, "jeebs_tcp_wait_refused_segments_total",
       "Segments that found no room to wait: what they should wait for was given up.", L(DIRECTION))
METRIC(TCP_RETRANSMITS, COUNTER, "jeebs_tcp_retransmitted_segments_total",
       "Segments whose bytes had been seen before.", L(DIRECTION))
METRIC(TCP_AMBIGUOUS, COUNTER, "jeebs_tcp_ambiguous_segments_total",
       "Segments whose bytes differ from those seen before in their place.", L(DIRECTION))
METRIC(TCP_REJECTED, COUNTER, "jeebs_tcp_rejected_segments_total",
       "Segments that were not believed.", L(REJECT))
METRIC(TCP_BUFFER_REFUSED, COUNTER, "jeebs_tcp_buffer_refused_bytes_total",
       "Bytes not kept because a buffer was at its ceiling.")
METRIC(PROTOCOL_UNKNOWN, COUNTER, "jeebs_protocol_unknown_total",
       "Connections of protocol auto whose first bytes no module knew.")
METRIC(STORE_BYTES, GAUGE, "jeebs_store_bytes",
       "Size of the connection store.")
METRIC(STORE_LIMIT_BYTES, GAUGE, "jeebs_store_limit_bytes",
       "Size the connection store may grow to.")
METRIC(STORE_RECORDS, GAUGE, "jeebs_store_records",
       "Connections in the store.")
METRIC(STORE_COMMIT_DURATION, DURATION, "jeebs_store_commit_duration_seconds",
       "Time to commit one batch to the store.")
METRIC(STORE_ERRORS, COUNTER, "jeebs_store_errors_total",
       "Changes that could not be stored, for lack of room or because writing failed.")
METRIC(STORE_FAILING, GAUGE, "jeebs_store_failing",
       "1 while changes fail otherwise than for lack of room, and ten seconds after.")
METRIC(STORE_READER_AGE, GAUGE, "jeebs_store_oldest_reader_seconds",
       "How long the oldest view of a log in the store has been open.")
METRIC(STORE_DEFERRED, COUNTER, "jeebs_store_deferred_flushes_total",
       "Flushes that left changes for the next: no time, or the store was behind.")
METRIC(STORE_SPILLED_BYTES, GAUGE, "jeebs_store_spilled_bytes",
       "Size of the parts of long logs in the store.")
METRIC(STORE_SPILL_REFUSED, COUNTER, "jeebs_store_spill_refused_total",
       "Parts of long logs for which the store had no room.")
METRIC(JOIN_SPLICED_BYTES, COUNTER, "jeebs_join_spliced_bytes_total",
       "Bytes of continued connections that passed without a copy.")
METRIC(JOIN_KEPT_CEILING, COUNTER, "jeebs_join_kept_ceiling_total",
       "How often so much was kept for slow clients that everybody was read a page at a time.")
METRIC(JOIN_BUFFER_STARVED, COUNTER, "jeebs_join_buffer_starved_total",
       "Reads of continued connections that had to wait for a shared buffer.")
METRIC(JOIN_CHANNELS, COUNTER, "jeebs_join_channels_total",
       "New connections between clients and a taken service that a module opened, and what kept them from it.", L(CHANNEL))
METRIC(JOIN_RING_FAILED, COUNTER, "jeebs_join_ring_failures_total",
       "Failures of a thread's io_uring, with each of which its continued connections were reset.")
METRIC(JOIN_THREADS_BROKEN, GAUGE, "jeebs_join_threads_broken",
       "Threads that could not go on after such a failure, and take no connections.")
METRIC(JOIN_CEILING, COUNTER, "jeebs_join_ceiling_total",
       "Ceilings hit by continued connections: no place, too much queued, no descriptor or port to the backup.", L(JOIN_CEILING))
METRIC(BACKUP_TLS, COUNTER, "jeebs_backup_tls_handshakes_total",
       "Handshakes of TLS with backups: full ones, those with a ticket of an earlier one, and those that failed.", L(HANDSHAKE))
METRIC(KEYS_VAULT_UP, GAUGE, "jeebs_keys_vault_up",
       "Whether the box knows what this key vault has, and could fetch it.", L(VAULT))
METRIC(KEYS_RECORDS, GAUGE, "jeebs_keys_records",
       "Sealed keys that the vaults have.")
METRIC(KEYS_SESSIONS, GAUGE, "jeebs_keys_sessions",
       "Sessions of services whose keys are kept, by whether they have keys in a vault: those that go on, and those that ended in the last 30 to 60 seconds.", L(SERVER), L(KEYED))
METRIC(KEYS_HANDSHAKES, COUNTER, "jeebs_keys_handshakes_total",
       "Handshakes of such sessions, by whether their keys came.", L(SERVER), L(KEYED))
METRIC(KEYS_HELD, GAUGE, "jeebs_keys_held",
       "Opened keys in locked memory.")
METRIC(KEYS_OPENED, COUNTER, "jeebs_keys_opened_total",
       "Sessions whose keys were opened.")
METRIC(KEYS_REFUSED, COUNTER, "jeebs_keys_refused_total",
       "Sessions whose keys were wanted and not opened, by reason.", L(KEYS_REASON))
METRIC(KEYS_ERASED, COUNTER, "jeebs_keys_erased_total",
       "Records that vaults have erased because their sessions were over.")
METRIC(KEYS_APPROVALS, COUNTER, "jeebs_keys_approvals_total",
       "Takeovers whose keys an operator had to approve, and what became of that.", L(KEYS_APPROVAL))
METRIC(KEYS_APPROVALS_WAITING, GAUGE, "jeebs_keys_approvals_waiting",
       "Takeovers whose keys wait for an operator.")
METRIC(KEYS_CEILING, COUNTER, "jeebs_keys_ceiling_total",
       "Ceilings hit: sessions or records that are not known, keys without locked memory.", L(KEYS_CEILING))
METRIC(LOOP_LAG, DURATION, "jeebs_event_loop_lag_seconds",
       "How late a loop of the daemon got to run.", L(LOOP))
METRIC(CONTROL_REFUSED, COUNTER, "jeebs_control_refused_total",
       "Ceilings hit on the control socket.", L(CONTROL))

/* clang-format on */

#undef LABEL
#undef VALUE
#undef METRIC
