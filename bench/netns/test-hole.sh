#!/usr/bin/env bash
# The client holds much more than 10 MSS behind a hole: its ACK will leap over all of it once the hole is
# filled, beyond what the restored socket has sent by then.
# Alone: what it needs behind the hole comes only at full speed.
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every:200
need nft tcpdump
lab_up --no-offload # so that the hole is one small segment
usual_start
make_files 512m.bin

# From now on the server learns nothing, and the client misses one frame of what it is sent.
make_hole() {
	in_ns sw nft -f - <<'END'
table netdev hole {
	chain from_client {
		type filter hook ingress device "client" priority 0;
		tcp dport 80 drop
	}
	chain to_client {
		type filter hook egress device "client" priority 0;
		tcp sport 80 quota until 2000 bytes drop
	}
}
END
}

# Segments that ever came to the client out of order. Read by way of curl, without starting a program: the server
# sends again what is missing after 200 ms.
out_of_order() {
	awk '/^TcpExt:/ && !n++ { split($0, name); next }
		/^TcpExt:/ { for (i = 1; i <= NF; i++) if (name[i] == "TCPOFOQueue") print $i }' "/proc/$curl/net/netstat"
}

many_behind() { (($(out_of_order) > before + 30)); }

# How many bytes the client has behind the hole: by its answer to the first question after the cut.
behind_the_hole() {
	tcpdump -tt -n -r "$lab_dir/box.pcap" 'src host 10.9.0.10 and tcp dst port 80' 2>/dev/null |
		awk -v cut="$(cat "$lab_dir/cut")" '$1 > cut + 0.05 && !n++' |
		awk '{
			sub(/.* ack /, ""); ack = $1 + 0; behind = 0
			while (match($0, /:[0-9]+}/)) { # the block of a duplicate lies below the ACK
				edge = substr($0, RSTART + 1, RLENGTH - 2) - ack
				if (edge > behind) behind = edge
				$0 = substr($0, RSTART + RLENGTH)
			}
			print behind
		}'
}

get download http://10.9.0.1/512m.bin
reached=20000000
while ((reached < 400000000)); do
	wait_for 20 "the download" get_reached download "$reached"
	curl=$(ip netns pids "$(ns client)" | head -n1)
	before=$(out_of_order)
	make_hole
	wait_until 0.1 many_behind && break
	# The client's window happened to be nearly closed.
	in_ns sw nft delete table netdev hole
	reached=$(($(get_bytes download) + 2000000))
done
pull_cable server
in_ns sw nft delete table netdev hole
get_ends 20 download || fail "stalled for good with $(behind_the_hole) bytes behind the hole"
get_check download 512m.bin
all_continued
behind=$(behind_the_hole)
((behind > 20000)) || skip "only $behind bytes came to lie behind the hole: nothing was tried"
below "$(longest_stall download)" 1000 "longest stall, ms"
pass "$behind bytes behind a hole, longest stall $(longest_stall download) ms"
