#!/usr/bin/env bash
# The client holds much more than 10 MSS behind a hole: its ACK will leap over all of it once the hole is
# filled, beyond what the restored socket has sent by then.
# Alone: what it needs behind the hole comes only at full speed.
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every:500
need nft tcpdump ss
lab_up --no-offload # so that the hole is one small segment
usual_start
make_files 512m.bin

# The server does not fill the hole by itself before it dies: 200 ms are soon over on a busy machine.
ip -n "$(ns server)" route change 10.9.0.0/24 dev eth0 rto_min 5s

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

# The end of the server and of the hole, at one instant: the box's question to the client must not be lost in it.
kill_in_hole() {
	in_ns sw nft -f - <<'END'
delete table netdev hole
table netdev dead {
	chain from_server {
		type filter hook ingress device "server" priority 0;
		drop
	}
	chain to_server {
		type filter hook egress device "server" priority 0;
		drop
	}
}
END
}

# Memory of what the client has in its queues though its program has read all that is in order: it lies behind the
# hole. (Segments that overtake each other on the way are soon in order.)
memory_behind() {
	in_ns client ss -Htmn 'dport = :80' |
		awk '$1 == "ESTAB" { unread = $2 } match($0, /skmem:\(r[0-9]+/) && unread == 0 { print substr($0, RSTART + 8, RLENGTH - 8) }'
}

many_behind() {
	local memory
	memory=$(memory_behind)
	((${memory:-0} > 100000))
}

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
	make_hole
	wait_until 0.5 many_behind && break
	# The client's window happened to be nearly closed.
	in_ns sw nft delete table netdev hole
	reached=$(($(get_bytes download) + 2000000))
done
kill_in_hole
pull_cable server
get_ends 20 download || fail "stalled for good with $(behind_the_hole) bytes behind the hole"
get_check download 512m.bin
all_continued
behind=$(behind_the_hole)
((behind > 20000)) || skip "only $behind bytes came to lie behind the hole: nothing was tried"
below_ms "$(longest_stall download)" 1000 "longest stall, ms"
pass "$behind bytes behind a hole, longest stall $(longest_stall download) ms"
