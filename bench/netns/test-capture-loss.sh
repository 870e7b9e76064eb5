#!/usr/bin/env bash
# The mirror loses a twentieth of what it copies to the appliance, in both directions; clients and server lose
# nothing. Each connection goes on byte for byte, or is refused with its reason and reset at once; none hangs.
# Alone: it loses what it wants to lose, and no more.
. "$(dirname "$0")/lib.sh"
lab_init
need nft jq
lab_up --no-offload # so that a loss is one segment
usual_start

# Of handshakes too: without them a connection is as old as the box.
in_ns sw nft -f - <<'END'
table netdev mirror {
	chain to_box {
		type filter hook egress device "box" priority 0;
		ip daddr 10.9.0.3 accept
		tcp dport 80 numgen random mod 20 == 0 drop
		tcp sport 80 numgen random mod 20 == 0 drop
	}
}
END

metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" '$1 == m { print $2 }'; }
gaps() { metric "jeebs_tcp_gaps_total{server=\"web1\",direction=\"$1\"}"; }
gaps_counted() { (($(gaps to-client) > 0 && $(gaps to-server) > 0)); }
# One that a hole makes impossible says so when it is asked for.
explained() {
	local client
	client=$(jeebsctl -o json show connections | jq -er '[.data[] | select(.reason == "response-gap")][0].client') &&
		{ jeebsctl explain "$client" || true; } | grep 'The capture did not show [0-9]* bytes of the server'
}

many all --host 10.9.0.1 --count 200 --phases "$all_phases" --timeout 30
many_ready all
wait_for 10 "holes in both directions to be counted" gaps_counted
wait_for 10 "a connection with a hole to be explained" explained
pull_cable server
in_ns sw nft delete table netdev mirror
get_wait 60 all
every_fate all
((fates_refused > 0)) || fail "nothing was refused: nothing was lost?"
((fates_ok > 100)) || fail "only $fates_ok went on: $fates_why"
pass "$fates_ok went on, $fates_refused refused ($fates_why)"
