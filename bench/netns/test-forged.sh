#!/usr/bin/env bash
# Forged segments at the next sequence number of living connections: of the client's bytes, of its RST and FIN, of
# the server's. No receiver takes them, nor does the box: each connection goes on as if they had not been.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_up
make_files 1k.bin
states_backup=held
states_start

size=600000
for i in 1 2 3; do
	talk up$i 5000$i await:go put:/x?upload:$size body:500000 mark:sent$i await:after body:100000 response
done
forge() { # NAMESPACE PORT NAME WHAT...
	in_ns_exec "$1" python3 "$states_dir/forge.py" eth0 "$2" "$lab_dir/marks" "${@:3}" 2>>"$lab_dir/forge.err" &
	wait_mark "$3.ready"
}
forge client 50001 data data:sum data:mac data:noack
forge client 50002 ends rst:sum rst:mac rst:window fin:sum fin:mac fin:noack
forge server 50003 server rst:sum rst:mac fin:sum fin:mac data:sum data:mac data:noack
mark go
for i in 1 2 3; do wait_mark sent$i; done
was_read() { [[ $(in_ns server ss -Htn "sport = :80 and dport = :$1" | awk '{ print $2 }') == 0 ]]; }
for i in 1 2 3; do wait_for 5 "the server to have read it" was_read 5000$i; done
for name in data ends server; do
	mark $name
	wait_mark $name.done
done
for i in 1 2 3; do
	[[ $(in_ns server ss -Htn "sport = :80 and dport = :5000$i" | cut_field) == ESTAB ]] || fail "the server believed a forged segment of connection $i"
done
rejected() { (($(metric_sum jeebs_tcp_rejected_segments_total) >= 16)); }
wait_for 5 "the box to have seen what was forged" rejected
pull_cable server
wait_for 10 "the takeover" taken_over
mark after
get_wait 20 up1 up2 up3

upload() { python3 -c 'import sys
unit = bytes(range(256)) * 256
for n, part in ((500000, 65536), (100000, 65536)):
	while n > 0:
		piece = unit[:min(n, part)]
		sys.stdout.buffer.write(piece)
		n -= len(piece)' | sha256sum | cut_field; }
for i in 1 2 3; do
	[[ $(get_exit up$i) == 0 ]] || fail "client $i: exit $(get_exit up$i): $(get_error up$i)"
	[[ $(get_field up$i sha256) == "$(printf %s "$(upload)" | sha256sum | cut_field)" ]] || fail "client $i: another upload arrived than was sent"
	expect_fate 5000$i "continued replay"
done
pass "16 forged segments, 3 uploads whole"
