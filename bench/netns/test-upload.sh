#!/usr/bin/env bash
# The client is the one who sends at the cut. Uploads that may be repeated (PUT) reach the backup whole,
# whatever of them the old server, the box or nobody had seen.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
lab_up
make_files 1k.bin
states_backup=held
states_start

size=3000000
# Going on all the time, before, during and after.
talk steady 50001 put:/x?upload:$size body:500000 mark:sent1 paced:2500000:2000000 response
# Bytes seen by the box that the server never had; and bytes that nobody saw.
talk seen 50002 put:/x?upload:$size body:500000 mark:sent2 await:deaf2 body:2500000 response
talk unseen 50003 put:/x?upload:$size body:500000 mark:sent3 await:mute3 body:2500000 response
# All of it is there, and the answer is not; the client has said that there is no more.
talk answered 50004 put:/x?upload:$size body:2999999 mark:sent4 await:deaf4 body:1 fin response
# The head of the request is cut.
talk pipelined 50005 put:/x?upload:1000 body:1000 response put:/x?upload:1000 mark:sent5 await:after body:1000 response
# It may not be repeated.
talk post 50006 post:/x?upload:$size body:500000 mark:sent6 paced:2500000:2000000 response

for i in 1 2 3 4 5 6; do wait_mark sent$i; done
was_read() { [[ $(in_ns server ss -Htn "sport = :80 and dport = :$1" | awk '{ print $2 }') == 0 ]]; }
for i in 2 3 4 5; do wait_for 5 "the server to have read it" was_read 5000$i; done
server_deaf 50002
mark deaf2
server_deaf 50004
mark deaf4
mute 50003
mark mute3
sends() { (($(in_ns client ss -Htn "dport = :80 and sport = :$1" | awk '{ print $3 }') > 0)); }
for i in 2 3 4; do wait_for 5 "bytes on the way" sends 5000$i; done
pull_cable server
speaks 50003
wait_for 10 "the takeover" taken_over
mark after
all=(steady seen unseen answered pipelined)
get_wait 20 "${all[@]}" post

# The same pattern as tcp-client.py sends: it starts anew with each step.
upload() { python3 -c 'import sys
unit = bytes(range(256)) * 256
for step in sys.argv[1:]:
	n, part = map(int, step.split("/"))
	while n > 0:
		piece = unit[:min(n, part)]
		sys.stdout.buffer.write(piece)
		n -= len(piece)' "$@" | sha256sum | cut_field; }
answers() { printf %s "$1" | sha256sum | cut_field; }
expect() { # ID DIGEST-OF-THE-UPLOADS
	[[ $(get_exit "$1") == 0 ]] || fail "client '$1': exit $(get_exit "$1"): $(get_error "$1")"
	[[ $(get_field "$1" sha256) == "$(answers "$2")" ]] || fail "client '$1': another upload arrived than was sent"
}
expect steady "$(upload 500000/65536 2500000/40000)"
expect seen "$(upload 500000/65536 2500000/65536)"
expect unseen "$(upload 500000/65536 2500000/65536)"
expect answered "$(upload 2999999/65536 1/1)"
expect pipelined "$(upload 1000/1000)$(upload 1000/1000)"
[[ $(get_error post) == *"HTTP/1.1 502 Bad Gateway" ]] || fail "the POST: $(get_error post)"
for i in 1 2 3 4 5; do expect_fate 5000$i "continued replay"; done
expect_fate 50006 "continued answered-502"
pass "5 uploads whole; longest stall $(longest_stall "${all[@]}") ms; the POST was told"
