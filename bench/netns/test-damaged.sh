#!/usr/bin/env bash
# One of 300 segments of the client is damaged on its way, as a bad cable does it: its checksum is wrong, and it is
# sent again. The server takes what was right, and so does the box: every upload arrives as it was sent.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_up --no-offload
make_files 1k.bin
states_backup=held
states_start
# The client's NIC has computed them: a byte of the payload changes, and no checksum with it.
in_ns sw nft -f - <<'END' || fail "nftables does not damage frames"
table netdev damage {
	chain in {
		type filter hook ingress device "client" priority 0;
		tcp dport 80 meta length > 1000 numgen random mod 300 == 0 @th,800,8 set 0x21 counter
	}
}
END

size=6000000
ids=()
for i in 1 2 3 4; do
	talk up$i 5000$i put:/x?upload:$size body:3000000 mark:sent$i await:after body:3000000 response
	ids+=(up$i)
done
for i in 1 2 3 4; do wait_for 20 "upload $i" marked sent$i; done
was_read() { [[ $(in_ns server ss -Htn "sport = :80 and dport = :$1" | awk '{ print $2 }')$(in_ns client ss -Htn "dport = :80 and sport = :$1" | awk '{ print $3 }') == 00 ]]; }
for i in 1 2 3 4; do wait_for 10 "the server to have read it" was_read 5000$i; done
damaged() { in_ns sw nft list table netdev damage | sed -nE 's/.*counter packets ([0-9]+).*/\1/p'; }
bad() { metric_sum 'jeebs_tcp_rejected_segments_total{reason="bad-checksum"}'; }
some_damaged() { (($(bad) >= 5)); }
wait_for 10 "damage that the box has seen" some_damaged
pull_cable server
wait_for 10 "the takeover" taken_over
mark after
get_wait 30 "${ids[@]}"

upload() { python3 -c 'import sys
unit = bytes(range(256)) * 256
for n in (3000000, 3000000):
	part = 65536
	while n > 0:
		piece = unit[:min(n, part)]
		sys.stdout.buffer.write(piece)
		n -= len(piece)' | sha256sum | cut_field; }
for i in 1 2 3 4; do
	[[ $(get_exit up$i) == 0 ]] || fail "client $i: exit $(get_exit up$i): $(get_error up$i)"
	[[ $(get_field up$i sha256) == "$(printf %s "$(upload)" | sha256sum | cut_field)" ]] || fail "client $i: another upload arrived than was sent"
	expect_fate 5000$i "continued replay"
done
pass "$(damaged) segments damaged, $(bad) seen by the box, 4 uploads whole; longest stall $(longest_stall "${ids[@]}") ms"
