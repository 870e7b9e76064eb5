#!/usr/bin/env bash
# Connections that are being closed at the cut, in every state of the server's end that knows a FIN: each ends
# as the old server would have ended it, to the last byte.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
lab_up
make_files 1k.bin 108k.bin
states_start

# CLOSE-WAIT: the client said all it had to say, the server sends on.
talk close_wait 41001 "get:/108k.bin?hold=100000&gate=g1&close" fin eof
# CLOSE-WAIT, and the body's end is the connection's.
talk close_wait_eof 41002 "get10:/108k.bin?hold=100000&gate=g2&eof" fin eof
# FIN-WAIT-1: the rest of the body and the FIN are on the way, and lost.
talk fin_wait_1 41003 "get10:/108k.bin?hold=100000&gate=g3&eof" read:100000 mark:read3 eof
# FIN-WAIT-2: answered early and finished; the client still sends.
talk fin_wait_2 41004 post:/1k.bin?close:2000000 body:100000 eof mark:eof4 await:after body:1900000 fin
# CLOSING: as FIN-WAIT-1, and the client's FIN crosses the server's.
talk closing 41005 "get10:/108k.bin?hold=100000&gate=g5&eof" read:100000 mark:read5 await:deaf5 fin eof
# LAST-ACK: the client's FIN first, then the server's, which is lost.
talk last_ack 41006 "get10:/108k.bin?hold=100000&gate=g6&eof" fin read:100000 mark:read6 eof
# The client's FIN, seen by the box alone; and by nobody.
talk fin_seen 41007 "get:/108k.bin?hold=100000&gate=g7&close" read:100000 mark:read7 await:deaf7 fin eof
talk fin_unseen 41008 "get:/108k.bin?hold=100000&gate=g8&close" read:100000 mark:read8 await:mute8 fin eof
# Between two requests the client says goodbye, and nobody answers.
talk goodbye 41009 get:/1k.bin response mark:read9 await:deaf9 fin eof

for i in g1.held g2.held read3 eof4 read5 read6 read7 read8 read9; do wait_mark "$i"; done
wait_state CLOSE-WAIT 41001
wait_state CLOSE-WAIT 41002
for i in 3 5 6; do deaf $((41000 + i)); done
mark g3
wait_state FIN-WAIT-1 41003
wait_state FIN-WAIT-2 41004
mark g5
wait_state FIN-WAIT-1 41005
mark deaf5
wait_state CLOSING 41005
mark g6
wait_state LAST-ACK 41006
server_deaf 41007
mark deaf7
mute 41008
mark mute8
server_deaf 41009
mark deaf9
for i in 7 8 9; do wait_for 5 "the client's FIN" client_state FIN-WAIT-1 $((41000 + i)); done
wait_state ESTAB 41007
pull_cable server
for i in 3 5 6; do hears $((41000 + i)); done
speaks 41008
mark after

all=(close_wait close_wait_eof fin_wait_1 fin_wait_2 closing last_ack fin_seen fin_unseen goodbye)
get_wait 20 "${all[@]}"
for id in "${all[@]}"; do
	case $id in
	fin_wait_2 | goodbye) get_check "$id" 1k.bin ;;
	*) get_check "$id" 108k.bin ;;
	esac
done
all_continued
expect_fate 41001 "continued range"
expect_fate 41002 "continued digest"
for i in 3 4 5 6 9; do expect_fate $((41000 + i)) "continued finished"; done
expect_fate 41007 "continued range"
expect_fate 41008 "continued range"
below_ms "$(longest_stall "${all[@]}")" 2000 "longest stall, ms"
no_end_left() { [[ -z $(in_ns "$1" ss -Htan state connected "$2 = :80" | grep -v TIME-WAIT) ]]; }
wait_for 10 "the clients' ends to be gone" no_end_left client dport
wait_for 10 "the box's ends to be gone" no_end_left box sport
pass "9 connections in 6 states, longest stall $(longest_stall "${all[@]}") ms"
