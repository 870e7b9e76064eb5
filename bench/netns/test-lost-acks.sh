#!/usr/bin/env bash
# The client has received far more than 10 MSS whose acknowledgements nobody saw: only the probe
# can tell how much it has.
. "$(dirname "$0")/lib.sh"
lab_init
need nft ss
lab_up
usual_start
make_files 512m.bin

lose_acks() {
	in_ns sw nft -f - <<'END'
table netdev acks {
	chain from_client {
		type filter hook ingress device "client" priority 0;
		tcp dport 80 drop
	}
}
END
}

# Nothing more leaves the server, and something is not acknowledged.
server_waits() {
	local was=$unacked
	unacked=$(in_ns server ss -Htin state established sport = :80 | sed -nE 's/.* unacked:([0-9]+).*/\1/p' | sort -n | tail -n1)
	unacked=${unacked:-0}
	((unacked > 0 && unacked == was))
}
unacked=0

get download http://10.9.0.1/512m.bin
reached=30000000
while ((reached < 400000000)); do
	wait_for 10 "the download" get_reached download "$reached"
	lose_acks
	wait_for 5 "the server to have sent all it may" server_waits
	((unacked <= 10)) || break
	# The client's window happened to be closed.
	in_ns sw nft delete table netdev acks
	reached=$(($(get_bytes download) + 5000000))
done
pull_cable server
in_ns sw nft delete table netdev acks
get_wait 30 download
get_check download 512m.bin
all_continued
((unacked > 10)) || fail "only $unacked segments were unacknowledged: nothing was tried"
below_ms "$(longest_stall download)" 1000 "longest stall, ms"
pass "$unacked segments unacknowledged, longest stall $(longest_stall download) ms"
