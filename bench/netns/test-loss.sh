#!/usr/bin/env bash
# 2 % of all segments lost in both directions, before, during and after the takeover. What clients
# send is lost before the appliance could see it, what they are sent after it has passed there.
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
		tcp dport 80 numgen random mod 50 == 0 drop
	}
}
END
	in_ns client nft -f - <<'END'
table inet loss {
	chain to_client {
		type filter hook prerouting priority -300;
		tcp sport 80 numgen random mod 50 == 0 drop
	}
}
END
}

lose_some
get download http://10.9.0.1/paced/20m.bin http://10.9.0.1/100k.bin
wait_for 30 "the download" get_reached download 4000000
many all --host 10.9.0.1 --count 50 --phases "$all_phases" --timeout 60
many_ready all
pull_cable server
get_wait 60 all
# A client whose SYN-ACK was lost has a retransmission timer of seconds: when its next request is lost as well, that comes
# again only after the box has stopped waiting.
every_fate all
((fates_refused <= 2)) && ! grep -qvx client-bytes-lost "$lab_dir/get/all.reasons" || fail "refused: $fates_why"
get_wait 60 download
get_check download 20m.bin 100k.bin
pass "$(phases_summary), $fates_refused waited for in vain"
