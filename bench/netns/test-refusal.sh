#!/usr/bin/env bash
# A request that must not be repeated is refused: at once, with its reason, and alone.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
get post --data "pay=100" http://10.9.0.1/held/1k.bin
many all --host 10.9.0.1 --count 20 --phases "$all_phases"
many_ready all
pull_cable server
get_wait 30 post all
many_check all
[[ $(get_exit post) == 56 ]] || fail "POST: curl ended with $(get_exit post), not by a reset: $(get_error post)"
wait_for 5 "the summary" event failover-summary
event connection-refused '"reason":"request-not-idempotent"' || fail "no reason in the log"
[[ $(event_field failover-summary refused) == 1 ]] || fail "$(event_field failover-summary refused) refused"
took=$(($(date -r "$lab_dir/get/post.exit" +%s%3N) - $(date -d "@$(cat "$lab_dir/cut")" +%s%3N)))
below "$took" 1000 "from the cut to the reset, ms"
grep -q 'POST' "$lab_dir/nginx-backup/access.log" && fail "the backup was asked"
pass "POST reset after $took ms, 20 others went on"
