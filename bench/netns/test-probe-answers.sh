#!/usr/bin/env bash
# Clients whose answer to the probe is late, comes after all waiting, is a reset, or never comes; and one that
# was refused, whose reset is lost: it waits for bytes and would wait for ever.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
lab_up
make_files 1k.bin 108k.bin 160k.bin
# Connections of clients that are gone end as soon as TCP gives them up.
in_ns box sysctl -qw net.ipv4.tcp_retries2=1 net.ipv4.tcp_keepalive_time=1 net.ipv4.tcp_keepalive_intvl=1 \
	net.ipv4.tcp_keepalive_probes=2
states_start

half="/108k.bin?hold=100000&close&gate"
# The first probe is lost; the second is answered.
talk late 43001 "get:$half=g1" read:100000 mark:read1 eof
# The client's host lost the connection, and nobody saw its reset.
talk reset 43002 "get:$half=g2" read:100000 mark:read2 await:mute2 reset
# Gone, in the middle of a body and between requests.
talk gone 43003 "get:$half=g3" read:100000 mark:read3 eof
talk gone_idle 43004 get:/1k.bin response mark:read4 await:never
# Refused (a POST is not repeated, and half of its answer was delivered), and the reset is lost.
talk refused 43005 "post:/108k.bin?hold=10000&close&gate=g5:10" body:10 read:10000 mark:read5 eof
# Back only after the box has stopped asking: one lacks all that is in flight, the other has it all, much
# more than ten segments, and its ACKs were lost.
far="/160k.bin?hold=100000&close&gate"
talk back_lacks 43006 "get:$far=g6" read:100000 mark:read6 eof
talk back_has 43007 "get:$far=g7" read:100000 mark:read7 read:60000 mark:all7 eof
for i in read1 read2 read3 read4 read5 read6 read7; do wait_mark "$i"; done
mute 43002
mark mute2
for i in 1 3 4 5 6; do deaf 4300$i; done
for i in 3 4 7; do mute 4300$i; done
mark g6
mark g7
wait_mark all7
deaf 43007
unacked() { [[ $(end_info server sport "$1") =~ unacked:([0-9]+) ]] && ((BASH_REMATCH[1] > 10)); }
for i in 6 7; do wait_for 5 "more than ten segments in flight" unacked 4300$i; done
wait_for 5 "the client's host to forget" lab_not client_state ESTAB 43002
pull_cable server
wait_for 10 "the guard" event failover-guard
speaks 43002
wait_for 10 "the first wave" event failover-open
fate_is 43001 "" || fail "the first probe was not lost"
hears 43001
get_wait 20 late
get_check late 108k.bin
wait_for 10 "the summary" event failover-summary
for i in 5 6 7; do hears 4300$i; done
speaks 43007
get_wait 10 refused
[[ $(get_exit refused) == 1 && $(get_error refused) == *"Connection reset"* ]] || fail "refused: $(get_error refused)"
expect_fate 43001 "continued range"
expect_fate 43003 "continued range"
expect_fate 43004 "continued idle"
expect_fate 43005 "refused request-not-idempotent"
for i in live:7 aborted:0 refused:1 gone:1 unanswered:5; do
	[[ $(event_field failover-summary "${i%:*}") == "${i#*:}" ]] ||
		fail "${i%:*}: $(event_field failover-summary "${i%:*}"), not ${i#*:}"
done
# Two of the five are gone without a word: nobody can know whether they go on.
unproven() { metrics_add_up && [[ $(jeebsctl -o json show failovers | jq -c '.data[0] | [.continuing + .continued, .settled]') == "[5,false]" ]]; }
wait_for 5 "five to be continuing or continued" unproven
get_wait 20 back_lacks back_has
get_check back_lacks 160k.bin
get_check back_has 160k.bin
no_sockets() { [[ -z $(in_ns box ss -Htan sport = :80 and dport = ":$1" | grep -v TIME-WAIT) ]]; }
for i in 3 4; do wait_for 20 "the socket of a client that is gone to go" no_sockets 4300$i; done
pass "late $(longest_stall late) ms; back after all waiting $(longest_stall back_lacks), $(longest_stall back_has) ms; refused after $(ended_after refused) ms; $(event_field failover-summary gone) reset, 2 gone, their sockets freed"
