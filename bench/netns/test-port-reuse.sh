#!/usr/bin/env bash
# The same address and port again and again: after a reset, after an orderly end, across the takeover and
# after it. Never is an old connection taken for the new one.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
lab_up
make_files 1k.bin 100k.bin 108k.bin
states_start

half="/108k.bin?hold=100000&close&gate"
# Reset by the client, then in the middle of a body at the cut; reset again afterwards, and once more.
talk reset 45001 get:/1k.bin response reset again "get:$half=g1" read:100000 mark:read1 eof \
	again get:/1k.bin response reset again get:/100k.bin response
# Ended by the server, which is left in TIME-WAIT; the same afterwards, with the box in its place.
talk ended 45002 "get:/1k.bin?close" eof again "get:/1k.bin?close" eof again "get:$half=g2" read:100000 mark:read2 eof \
	again get:/1k.bin response
# The client's host forgets the connection and begins anew, unseen, while the server is dead.
talk anew 45003 "get:$half=g3" read:100000 mark:read3 await:mute3 reset mark:forgot3 await:dead again get:/1k.bin response

for i in read1 read2 read3; do wait_mark "$i"; done
mute 45003
mark mute3
wait_mark forgot3
pull_cable server
speaks 45003
mark dead
get_wait 20 reset ended anew
get_check reset 1k.bin 108k.bin 1k.bin 100k.bin
get_check ended 1k.bin 1k.bin 108k.bin 1k.bin
head -c 100000 "$lab_dir/www/108k.bin" >"$lab_dir/www/part.bin"
get_check anew part.bin 1k.bin
below_ms "$(ended_after anew)" 3000 "milliseconds for the client that began anew"
expect_fate 45001 "continued range"
expect_fate 45002 "continued range"
pass "reused before, across and after the takeover"
