#!/usr/bin/env bash
# Stock wget, without a second try: one file, and several over one connection.
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every
need wget
lab_up
usual_start
get_with one wget -q --tries=1 -O - http://10.9.0.1/paced/20m.bin
get_with several wget -q --tries=1 -O - http://10.9.0.1/paced/20m.bin http://10.9.0.1/100k.bin http://10.9.0.1/1k.bin
wait_for 10 "the first download" get_reached one 4000000
wait_for 10 "the first of several" get_reached several 4000000
pull_cable server
get_wait 30 one several
get_check one 20m.bin
get_check several 20m.bin 100k.bin 1k.bin
all_continued
pass "2 downloads, longest stall $(longest_stall one several) ms"
