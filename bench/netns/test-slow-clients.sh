#!/usr/bin/env bash
# 2,000 slow readers, all in the middle of a body, continued at once. The backup has everything ready at once, the
# clients take their time: every byte of every one, nobody waits for a buffer for long, and the appliance keeps no
# more for them than it says.
# Alone: its clients are slow by their buffers; beside others the backup is slower than they, and nothing is kept.
. "$(dirname "$0")/lib.sh"
: "${JEEBS_CONNECTIONS:=2000}"
lab_nginx_workers=2
lab_record() { :; } # the cores are for the clients
status_of_appliance() { awk -v k="$1:" '$1 == k { print $2 }' "/proc/$appliance/status"; }
metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" 'index($1, m) == 1 { n += $2 } END { print n + 0 }'; }
kept_ceiling() { (($(metric jeebs_join_kept_ceiling_total) > 0)); }

lab_init
lab_up
make_files 400k.bin
start_nginx server
start_nginx backup
appliance_start
many slow --host 10.9.0.1 --count "$JEEBS_CONNECTIONS" --phases body --file 400k.bin --followups 0 --slow 16384 --timeout 60
many_ready slow
before=$(status_of_appliance VmRSS)
pull_cable server
get_wait 60 slow
many_check slow
all_continued
wait_for 5 "the ceiling of what is kept for slow clients" kept_ceiling
grown=$((($(status_of_appliance VmHWM) - before) / 1024))
# join.h: kept_bytes, the buffers, two pages for each; and what a join and its restored connection are.
bound=$((64 + 4 + JEEBS_CONNECTIONS * (2 * 4 + 8) / 1024))
((grown <= bound)) || fail "the appliance grew by $grown MiB, bound $bound"
pass "$(many_field slow ok) slow readers continued, $grown MiB of at most $bound kept for them, $(metric jeebs_join_spliced_bytes_total) bytes without a copy"
