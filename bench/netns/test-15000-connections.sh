#!/usr/bin/env bash
# 15 000 connections in one takeover: most idle between requests, 300 in all phases of a download.
# Each is continued and gets, after the cut, every byte of what it asks for; or it is refused with a reason, which on a
# machine that has other things to do happens to one whose frames the lab's own network has lost.
# Alone: its connections want both cores.
#
# JEEBS_CONNECTIONS=N: another number. JEEBS_FIGURES=FILE: what was measured, in one line of JSON.
. "$(dirname "$0")/lib.sh"
: "${JEEBS_CONNECTIONS:=15000}" "${JEEBS_FIGURES:=/dev/null}"
downloads=300
lab_nginx_workers=2
lab_record() { :; } # a third of a million frames: it is the takeover that should have the cores

# Each continued connection costs the appliance a descriptor, and another while it asks the backup.
enough=$((3 * JEEBS_CONNECTIONS + 5000))
(($(ulimit -Hn) >= enough)) || ulimit -n "$enough" || true
descriptors=$(ulimit -Hn)
asking=$((descriptors - JEEBS_CONNECTIONS - downloads - 500))
((asking >= 500)) || skip "$descriptors descriptors are too few"
((asking <= 2000)) || asking=2000

metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" 'index($1, m) == 1 { n += $2 } END { print n + 0 }'; }
opened() { (($(metric jeebs_tcp_flows_opened_total) >= JEEBS_CONNECTIONS)); }
status_of_appliance() { awk -v k="$1:" '$1 == k { print $2 }' "/proc/$appliance/status"; }

# In milliseconds, of those that waited for bytes when the server was cut off: what PART of them stay below.
stall() {
	jq -s --argjson part "$1" 'map(select(.waited == true) | .stall_ms) | sort | .[((length - 1) * $part | floor)] | round' \
		"$lab_dir/get/idle.json" "$lab_dir/get/downloads.json"
}

lab_init
need jq
lab_up
make_files 1k.bin 100k.bin 1m.bin
start_nginx server
start_nginx backup
appliance_start
memory_before=$(status_of_appliance VmHWM)
many idle --host 10.9.0.1 --count $((JEEBS_CONNECTIONS - downloads)) --phases idle --file 1k.bin --next-file 1k.bin \
	--followups 1 --ask-at-once "$asking" --timeout 40
many downloads --host 10.9.0.1 --count "$downloads" --phases "$all_phases" --timeout 40
many_ready idle
many_ready downloads
wait_for 10 "the appliance to know all connections" opened
pull_cable server
get_wait 60 idle downloads
memory=$(status_of_appliance VmHWM)
all_settled
live=$account_live continued=$account_continued refused=$account_refused
reasons=$(in_ns box curl -sf http://127.0.0.1:9817/metrics | sed -nE 's/^jeebs_connections_refused_total\{.*reason="([^"]*)".* ([1-9][0-9]*)$/\2 \1/p' | paste -sd,)
# With the machine busy, some had their answer before the cable was really out; they are not among the live.
((live <= JEEBS_CONNECTIONS && live >= JEEBS_CONNECTIONS * 4 / 5)) || fail "$live of $JEEBS_CONNECTIONS live at the takeover"
((account_aborted == 0)) || fail "$account_aborted aborted: $reasons"
((refused <= live / 100)) || fail "$refused of $live refused: $reasons"
broken=$(($(many_field idle broken) + $(many_field downloads broken)))
wrong=$(($(many_field idle wrong) + $(many_field downloads wrong)))
((wrong == 0)) || fail "$wrong wrong"
if ((broken != refused || broken != $(cat "$lab_dir"/get/*.json | grep -c '"fate":"broken","why":"reset"'))); then
	fail "$refused refused ($reasons), but $broken clients had no answer"
fi
dropped=$(metric jeebs_capture_dropped_packets_total)

jq -n --argjson connections "$live" --argjson open_ms "$(takeover_ms)" \
	--argjson unanswered "$(event_field failover-summary unanswered)" --argjson dropped "$dropped" \
	--argjson kib "$((memory - memory_before))" --argjson p50 "$(stall 0.5)" --argjson p90 "$(stall 0.9)" \
	--argjson p99 "$(stall 0.99)" --argjson max "$(stall 1)" --argjson waited "$(($(many_field idle waited) + downloads))" \
	-c '{$connections, $open_ms, rate: ($connections / $open_ms * 1000 | round), $unanswered, $dropped, $kib, $waited, stall_ms: {$p50, $p90, $p99, $max}}' \
	>"$lab_dir/figures"
cat "$lab_dir/figures" >>"$JEEBS_FIGURES"
pass "$continued of $(jq -r '"\(.connections) continued, \(.rate) a second, \(.open_ms) ms from detection to open; stalls of the \(.waited) that waited: " +
	"p50 \(.stall_ms.p50) p90 \(.stall_ms.p90) p99 \(.stall_ms.p99) max \(.stall_ms.max) ms; \(.unanswered) unanswered"' "$lab_dir/figures")${reasons:+; refused: $reasons}"
