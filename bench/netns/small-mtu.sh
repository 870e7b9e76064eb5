# A path that takes small packets only, behind the router of `lab_up --router`, and says nothing. Sourced after lib.sh.

# small_path MTU: towards the client, which does not know of it: its handshakes offer what its own link takes.
small_path() {
	ip -n "$(ns router)" route add 10.8.0.10 dev eth1 mtu lock "$1"
	ip -n "$(ns router)" -6 route add fd08::10 dev eth1 mtu lock "$1"
	in_ns router nft -f - <<'END'
table inet silent {
	chain out {
		type filter hook output priority 0;
		icmp type destination-unreachable drop
		icmpv6 type packet-too-big drop
	}
}
END
}

# segments NAMESPACE: the sizes of the segments its established sockets of port 80 send.
segments() {
	in_ns "$1" ss -Htin state established '( sport = :80 )' | grep -oE '\bmss:[0-9]+' | cut -d: -f2 | sort -n
}

# no_larger NAMESPACE SIZE NUMBER: so many sockets send segments of at most that size.
no_larger() { (($(segments "$1" | awk -v most="$2" '$1 <= most { n++ } END { print n + 0 }') == $3)); }

connections() { (($(in_ns server ss -Htn state established '( sport = :80 )' | wc -l) == $1)); }

# account_is FATE NUMBER: of the failover.
account_is() { [[ $(jeebsctl -o json show failovers | jq "[.data[].$1] | add") == "$2" ]]; }
