#!/usr/bin/env bash
# Windows that are closed at the cut, on either side, with the probes that such connections exchange; and
# keep-alive probes on an idle one. None of these is data.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
lab_up
make_files 1k.bin 3m.bin
states_backup=held
states_start

# The client stops reading: the server's end probes its closed window.
talk client 44001 rcvbuf:20000 get:/3m.bin read:500000 mark:read1 await:after response
# The same, and it reads on only long after the takeover.
talk later 44002 rcvbuf:20000 get:/3m.bin read:500000 mark:read2 await:later response
# The server does not read: the client's end probes. A PUT may be repeated, and is in the log.
talk server 44003 "put:/1k.bin?unread&gate=g3&close:6000000" body:6000000 eof fin
# Between two requests the client's keep-alive is on the wire.
talk idle 44004 keepalive get:/1k.bin response mark:read4 await:after get:/1k.bin response

for i in read1 read2 g3.held read4; do wait_mark "$i"; done
probes() { [[ $(end_info "$1" "$2" "$3") == *"timer:(persist"* ]]; }
for i in 1 2; do wait_for 5 "the server to probe" probes server sport 4400$i; done
wait_for 5 "the client to probe" probes client dport 44003
kept_alive() { tcpdump -n -r "$lab_dir/box.pcap" 'src port 44004 and tcp[tcpflags] == tcp-ack' 2>/dev/null | grep -c . ; }
before=$(kept_alive)
was_kept_alive() { (($(kept_alive) > before)); }
wait_for 5 "a keep-alive" was_kept_alive
pull_cable server
mark g3
wait_for 10 "the takeover" taken_over
mark after
get_wait 30 client server idle
wait_for 5 "the box to probe the closed window" probes box sport 44002
mark later
get_wait 30 later
get_check client 3m.bin
get_check later 3m.bin
get_check server 1k.bin
get_check idle 1k.bin 1k.bin
all_continued
for i in 1 2; do expect_fate 4400$i "continued range"; done
expect_fate 44003 "continued replay"
expect_fate 44004 "continued idle"
pass "closed on the client's side, on the server's, and an idle connection"
