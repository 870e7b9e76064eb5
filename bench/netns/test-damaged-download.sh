#!/usr/bin/env bash
# One of 300 segments of the server is damaged on its way to the switch, for its last moments: neither the clients nor
# the box take it, and what was never seen whole is asked of the backup. A download ends as the file is; or, where the last
# moment left its client bytes behind one that nobody saw whole, in a reset by name, and what it has is right.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up --no-offload
make_files 20m.bin
start_nginx server
start_nginx backup
appliance_start

ids=(d1 d2 d3 d4 d5 d6)
for id in "${ids[@]}"; do get_rate=4000000 get "$id" http://10.9.0.1/20m.bin; done
for id in "${ids[@]}"; do wait_for 20 "download $id" get_reached "$id" 2000000; done
# The server's NIC has computed them: a byte of the payload changes, and no checksum with it.
in_ns sw nft -f - <<'NFT' || fail "nftables does not damage frames"
table netdev damage {
	chain in {
		type filter hook ingress device "server" priority 0;
		tcp sport 80 meta length > 1000 numgen random mod 300 == 0 @th,800,8 set 0x21 counter
	}
}
NFT
damaged() { in_ns sw nft list table netdev damage | sed -nE 's/.*counter packets ([0-9]+).*/\1/p'; }
some_damaged() { (($(damaged) >= 12)); }
wait_for 20 "damage" some_damaged
pull_cable server
count=$(damaged)
get_wait 60 "${ids[@]}"
bad=$(metric_sum 'jeebs_tcp_rejected_segments_total{reason="bad-checksum"}')
# A byte in 256 was what it became.
((bad > count / 2)) || fail "$count were damaged, and the box has rejected $bad"
whole=()
for id in "${ids[@]}"; do
	if [[ $(get_exit "$id") == 56 ]]; then
		[[ $(get_field "$id" sha256) == "$(head -c "$(get_field "$id" bytes)" "$lab_dir/www/20m.bin" | sha256sum | cut_field)" ]] ||
			fail "client '$id': wrong bytes before its reset"
	else
		get_check "$id" 20m.bin
		whole+=("$id")
	fi
done
wait_for 5 "the summary of the failover" event failover-summary
refused=$((${#ids[@]} - ${#whole[@]}))
((${#whole[@]} >= 3)) || fail "only ${#whole[@]} downloads went on"
[[ $(event_field failover-summary refused_because) == "$( ((refused == 0)) || echo "server-bytes-lost $refused")" ]] ||
	fail "$refused clients were reset, because: $(event_field failover-summary refused_because)"
event connection-aborted && fail "a connection was aborted: $(event_field connection-aborted reason)"
account_adds_up
pass "$count segments damaged, $bad rejected by the box, ${#whole[@]} downloads whole, $refused refused by name; longest stall $(longest_stall "${whole[@]}") ms"
