#!/usr/bin/env bash
# 5 % of all segments lost in both directions from the cut on: probes, their answers, resets, handshakes with the
# backup's stand-in, and all data. Everybody ends, whole or refused aloud.
# Alone: its losses are to be the only ones.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up
usual_start

lose_some() {
	in_ns sw nft -f - <<'END'
table netdev loss {
	chain from_client {
		type filter hook ingress device "client" priority 0;
		tcp dport 80 numgen random mod 20 == 0 drop
	}
}
END
	in_ns client nft -f - <<'END'
table inet loss {
	chain to_client {
		type filter hook prerouting priority -300;
		tcp sport 80 numgen random mod 20 == 0 drop
	}
}
END
}

posts=(post1 post2 post3 post4 post5 post6 post7 post8)
for id in "${posts[@]}"; do get_rate=4000000 get "$id" --data "pay=100" http://10.9.0.1/posted/20m.bin; done
many all --host 10.9.0.1 --count 60 --phases "$all_phases" --timeout 60
many_ready all
for id in "${posts[@]}"; do wait_for 10 "half an answer to a POST" get_reached "$id" 100000; done
lose_some
pull_cable server
for i in 1 2 3 4 5; do get "new$i" --connect-timeout 20 "http://10.9.0.1/100k.bin"; done
get_wait 60 all "${posts[@]}" new1 new2 new3 new4 new5
many_check all
for i in 1 2 3 4 5; do get_check "new$i" 100k.bin; done
for id in "${posts[@]}"; do
	[[ $(get_exit "$id") == 56 ]] || fail "POST: curl ended with $(get_exit "$id"), not by a reset"
done
wait_for 5 "the summary" event failover-summary
[[ $(event_field failover-summary refused) == 8 ]] || fail "$(event_field failover-summary refused) refused"
pass "$(phases_summary); $(event_field failover-summary unanswered) unanswered, 8 refused"
