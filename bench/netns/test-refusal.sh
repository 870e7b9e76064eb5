#!/usr/bin/env bash
# A request that must not be repeated: the client is told so, in order; or is reset, when it has the beginning of an
# answer. At once, with the reason, and alone.
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every
lab_up
usual_start
get post --data "pay=100" http://10.9.0.1/held/1k.bin
get partly --data "pay=100" http://10.9.0.1/posted/20m.bin
many all --host 10.9.0.1 --count 20 --phases "$all_phases"
many_ready all
wait_for 5 "half an answer to a POST" get_reached partly 100000
pull_cable server
get_wait 30 post partly all
many_check all
[[ $(get_exit post) == 22 && $(get_error post) == *502* ]] ||
	fail "POST: curl ended with $(get_exit post), not told by a 502: $(get_error post)"
[[ $(get_exit partly) == 56 ]] || fail "POST: curl ended with $(get_exit partly), not by a reset: $(get_error partly)"
wait_for 5 "the summary" event failover-summary
event connection-refused '"reason":"request-not-idempotent"' || fail "no reason in the log"
event connection-continued '"reason":"answered-502"' || fail "no 502 in the log"
[[ $(event_field failover-summary refused) == 1 ]] || fail "$(event_field failover-summary refused) refused"
for i in post partly; do
	took=$(($(date -r "$lab_dir/get/$i.exit" +%s%3N) - $(date -d "@$(cat "$lab_dir/cut")" +%s%3N)))
	below_ms "$took" 1000 "from the cut to the end of '$i', ms"
done
grep -q 'POST' "$lab_dir/nginx-backup/access.log" && fail "the backup was asked"
pass "a POST answered, another reset after $took ms, 20 others went on"
