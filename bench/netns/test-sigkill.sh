#!/usr/bin/env bash
# SIGKILL after a takeover: the guard vanishes with the process, the address has a lifetime, and the next
# start cleans up.
. "$(dirname "$0")/lib.sh"
lab_init
need nft
lab_up
usual_start

box_tables() { in_ns box nft list tables | grep -F jeebs || true; }
no_tables() { [[ -z $(box_tables) ]]; }
taken_address() { ip -n "$(ns box)" address show dev eth0 | grep -A1 -E ' (10\.9\.0\.1/|fd09::1/)' || true; }

get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
pull_cable server
wait_for 10 "the takeover" taken_over
[[ -n $(box_tables) ]] || fail "no table while it serves"
appliance_signal KILL
wait_for 5 "the appliance to end" lab_ended "$appliance"
wait_for 5 "the table to vanish" no_tables
lifetime=$(taken_address | sed -nE 's/.*valid_lft ([0-9]+)sec.*/\1/p' | sort -n | tail -n1)
((${lifetime:-0} > 0 && lifetime <= 30)) || fail "the address has no lifetime: $(taken_address)"
ip -n "$(ns sw)" link set server up
: >"$lab_dir/appliance.log"
appliance_start
[[ -z $(taken_address) ]] || fail "the new start left the address: $(taken_address)"
get again http://10.9.0.1/100k.bin
get_wait 10 again
get_check again 100k.bin
pass "guard gone, address was to live $lifetime s more, the next start removed it"
