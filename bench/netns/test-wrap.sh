#!/usr/bin/env bash
# Sequence numbers that pass 2^32: in the bytes in flight at the cut, in what comes after it, and in what the
# client sends.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
need tcpdump
lab_up
make_files 1k.bin 24m.bin
states_backup=held
states_start

# The server's number wraps within what is in flight (and lost) at the cut.
talk flight 0 high_isn:20000000:port1 "get_wrap:/24m.bin?hold={hold}&close&gate=g1" read_held mark:read1 eof
# It wraps after the takeover.
talk later 0 high_isn:20000000:port2 "get:/24m.bin?hold=100000&close&gate=g2" read:100000 mark:read2 eof
# The client's number wraps in a request whose body the server has only begun to read.
talk upload 49003 isn:0xffffe000 "put:/1k.bin?unread&gate=g3&close:4000000" body:4000000 eof fin
# The client's number wraps in its head; the answer was begun.
talk head 49004 isn:0xfffffff0 "get:/24m.bin?hold=100000&close&gate=g4" read:100000 mark:read4 eof

for i in read1 g1.held read2 g3.held read4; do wait_for 20 "'$i'" marked "$i"; done
flight=$(<"$lab_dir/marks/port1") later=$(<"$lab_dir/marks/port2")
deaf "$flight"
mark g1
unacked() { [[ $(end_info server sport "$flight") == *" unacked:"* ]]; }
wait_for 5 "something in flight" unacked
pull_cable server
hears "$flight"
for i in 2 3 4; do mark g$i; done
all=(flight later upload head)
get_wait 20 "${all[@]}"
for id in flight later head; do get_check "$id" 24m.bin; done
get_check upload 1k.bin
all_continued
for port in "$flight" "$later" 49004; do expect_fate "$port" "continued range"; done
expect_fate 49003 "continued replay"
# The numbers really passed zero.
seqs() { tcpdump -S -n -r "$lab_dir/box.pcap" "$1" 2>/dev/null | sed -nE 's/.* seq ([0-9]+).*/\1/p'; }
wrapped() { seqs "$1" | awk '$1 > 4294000000 { high = 1 } high && $1 < 4000000 { low = 1 } END { exit !low }'; }
# Of the server's, the client's kernel tells, and the count of bytes: tcpdump may miss packets of a fast download.
for i in 1 2; do
	seq=$(<"$lab_dir/marks/port$i.seq")
	((seq + 24 * 1024 * 1024 > 1 << 32)) || fail "the server's number did not wrap: it began at $seq"
done
wrapped 'dst port 80 and src port 49003' || fail "the client's number did not wrap in the upload"
wrapped 'dst port 80 and src port 49004' || fail "the client's number did not wrap in the head"
pass "4 connections past 2^32, longest stall $(longest_stall "${all[@]}") ms"
