#!/usr/bin/env bash
# The same path, and an old server that leaves it to the routers to cut its packets: it sends them without DF.
. "$(dirname "$0")/lib.sh"
lab_init
need nft tcpdump
lab_up --router
. "$(dirname "$0")/small-mtu.sh"
small_path 1280
in_ns server sysctl -qw net.ipv4.ip_no_pmtu_disc=1
usual_start
make_files 100m.bin
get paced http://10.9.0.1/paced/100m.bin
get chunked http://10.9.0.1/chunked/100m.bin
wait_for 10 "the download" get_reached paced 3000000
wait_for 10 "the other one" get_reached chunked 3000000
pull_cable server
get_wait 30 paced chunked
get_check paced 100m.bin
get_check chunked 100m.bin
all_continued
below_ms "$(longest_stall paced chunked)" 1500 "longest stall, ms"
pass "longest stall $(longest_stall paced chunked) ms"
