#!/usr/bin/env bash
# The cut in the middle of a handshake: no client is ever reset, each gets its file from the old server's
# connection or from the backup.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
need tcpdump
lab_up
make_files 1k.bin
lab_extra='recovery: {probe_timeout: 200ms}' # the guard stays closed long enough to be met
states_start

# The client's ACK is lost, and all that follows: it believes in the connection, the server does not.
in_ns client nft 'add rule inet states out tcp dport 80 tcp sport 42002 tcp flags & syn == 0 drop'
talk ack_lost 42002 connect mark:connected2 get:/1k.bin response
# The same, but its request comes after the takeover.
in_ns client nft 'add rule inet states out tcp dport 80 tcp sport 42003 tcp flags & syn == 0 drop'
talk ack_lost_idle 42003 connect mark:connected3 await:open get:/1k.bin response
# The SYN is lost before anybody saw it.
mute 42004
talk syn_lost 42004 get:/1k.bin response

wait_mark connected2
wait_mark connected3
for i in 2 3; do wait_state SYN-RECV 4200$i; done
# The SYN-ACK is lost: the server waits in SYN-RECV, the client sends its SYN again, a second later.
deaf 42001
talk syn_ack_lost 42001 get:/1k.bin response
wait_state SYN-RECV 42001
pull_cable server
hears 42001
in_ns client nft flush chain inet states out
# While the guard is closed.
wait_for 10 "the guard" event failover-guard
talk closed_guard 42005 get:/1k.bin response
wait_for 10 "the takeover" taken_over
event failover-open && mark open
all=(syn_ack_lost ack_lost ack_lost_idle syn_lost closed_guard)
get_wait 20 "${all[@]}"
for id in "${all[@]}"; do get_check "$id" 1k.bin; done
# A second SYN is enough: it is not held up by a guard that waits for an ACK.
syns=$(tcpdump -n -r "$lab_dir/box.pcap" 'src host 10.9.0.10 and src port 42001 and tcp[tcpflags] == tcp-syn' 2>/dev/null | wc -l)
((syns == 2)) || fail "the client without a SYN-ACK needed $syns SYNs"
resets() { tcpdump -n -r "$lab_dir/box.pcap" 'tcp[tcpflags] & tcp-rst != 0 and portrange 42001-42005' 2>/dev/null; }
[[ -z $(resets) ]] || fail "a reset: $(resets | head -n1)"
pass "5 handshakes; $(($(event_field failover-summary continuing) + $(event_field failover-summary continued))) continued, $(event_field failover-summary gone) began anew; longest stall $(longest_stall "${all[@]}") ms"
