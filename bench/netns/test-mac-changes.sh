#!/usr/bin/env bash
# A server whose MAC changes (another NIC, a bond, VRRP) lives: it is not taken over, and when it dies later it is.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
in_ns server ip link set eth0 address 02:00:00:00:77:01
in_ns client ip neighbour flush dev eth0
stays 1 no_takeover
get_wait 30 download
get_check download 20m.bin
no_takeover || fail "took over a living server"
get second http://10.9.0.1/paced/20m.bin
wait_for 10 "the second download" get_reached second 4000000
pull_cable server
wait_for 3 "the takeover" taken_over
get_wait 30 second
get_check second 20m.bin
all_continued
pass "not taken over with its new MAC, taken over when it died"
