#!/usr/bin/env bash
# The probes fail but the server is busy and its frames are on the wire: no takeover.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up
usual_start
make_files 100m.bin
get download http://10.9.0.1/paced/100m.bin
wait_for 10 "the download" get_reached download 4000000
in_ns server nft -f - <<'END'
table arp deaf {
	chain to_box {
		type filter hook input priority 0;
		arp saddr ip 10.9.0.3 drop
	}
}
table inet deaf {
	chain from_box {
		type filter hook input priority 0;
		ip saddr 10.9.0.3 drop
		ip6 saddr fd09::3 drop
		icmpv6 type nd-neighbor-solicit ip6 saddr fe80::/10 drop
	}
}
END
wait_for 5 "the veto" event verdict-suppressed '"rule":"traffic-seen"'
stays 1 no_takeover
get_ended download && fail "the download ended too early to be a reason"
in_ns server nft flush ruleset
get_wait 30 download
get_check download 100m.bin
no_takeover || fail "took over a living server"
pass "suppressed while traffic was seen"
