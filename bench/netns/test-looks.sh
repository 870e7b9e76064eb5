#!/usr/bin/env bash
# What a connection looks like on the wire besides its bytes: the old server's TTL and traffic class are kept; ECN
# was negotiated and the client goes on without it; over IPv4 and IPv6.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
need tcpdump
lab_up
make_files 1k.bin 108k.bin
for name in client server; do in_ns "$name" sysctl -qw net.ipv4.tcp_ecn=1; done
in_ns server sysctl -qw net.ipv4.ip_default_ttl=41 net.ipv6.conf.all.hop_limit=43 net.ipv6.conf.eth0.hop_limit=43
states_start

talk four 46001 "get:/108k.bin?tos=72&hold=100000&close&gate=g1" read:100000 mark:read1 eof
talk_host=fd09::1 talk six 46002 "get:/108k.bin?tos=72&hold=100000&close&gate=g2" read:100000 mark:read2 eof
wait_mark read1
wait_mark read2
synack=$(tcpdump -n -r "$lab_dir/box.pcap" 'src port 80 and dst port 46001 and tcp[tcpflags] & tcp-syn != 0' 2>/dev/null)
[[ $synack == *"[S.E]"* ]] || fail "ECN was not negotiated: $synack"
pull_cable server
get_wait 20 four six
get_check four 108k.bin
get_check six 108k.bin
all_continued
box_mac=$(in_ns box cat /sys/class/net/eth0/address)
# Each frame of the box: its IP header as tcpdump -v tells it. 72 is 0x48: without the bits that are ECN's.
of_box() { tcpdump -v -n -r "$lab_dir/box.pcap" "ether src $box_mac and $1" 2>/dev/null | grep -E '^[0-9].* IP6? '; }
four=$(of_box 'src host 10.9.0.1 and dst port 46001')
six=$(of_box 'ip6 and src host fd09::1 and ip6[42:2] == 46002')
[[ -n $four && -n $six ]] || fail "nothing of the box was captured"
wrong=$(grep -vE 'tos 0x48, ttl 41,' <<<"$four" | head -n1) || true
[[ -z $wrong ]] || fail "not as the old server: $wrong"
wrong=$(grep -vE 'class 0x48,.* hlim 43,' <<<"$six" | head -n1) || true
[[ -z $wrong ]] || fail "not as the old server: $wrong"
pass "$(wc -l <<<"$four") and $(wc -l <<<"$six") frames with the old TTL and class, ECN given up"
