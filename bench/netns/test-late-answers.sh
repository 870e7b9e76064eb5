#!/usr/bin/env bash
# Every answer to the box's probes comes later than the probes' time-out, and there is no other sign of life: a server that
# answers late is not dead. By connects alone, by ARP and neighbour discovery alone; when it does die it is taken over.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vlan.sh"
need nft
vlan_relay_late=120
vlan_init
usual_start

deaf_to() { in_ns server nft -f - <<<"$1"; }
no_longer_deaf() {
	in_ns server nft flush ruleset
	stays 0.5 no_takeover
}

kill -USR1 "$vlan_relay"
deaf_to 'table arp deaf { chain in { type filter hook input priority 0; arp saddr ip 10.9.0.3 drop; }; }
table inet deaf { chain in { type filter hook input priority 0; icmpv6 type nd-neighbor-solicit drop; }; }'
stays 1.5 no_takeover
no_longer_deaf
deaf_to 'table inet deaf { chain in { type filter hook input priority 0; ip saddr 10.9.0.3 tcp dport 80 drop; ip6 saddr fd09::3 tcp dport 80 drop; }; }'
stays 1.5 no_takeover
no_longer_deaf
pull_cable server
wait_for 3 "the takeover" taken_over
pass "answers 120 ms late, time-out 50 ms: no takeover by connects alone nor by ARP alone; taken over when it died"
