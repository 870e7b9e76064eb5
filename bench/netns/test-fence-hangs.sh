#!/usr/bin/env bash
# A fence that hangs for 100 s: what is held meanwhile is renewed and its clients live on, another server is taken
# over, and the process ends when it is told to, with the fence.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/three.sh"
lab_init
three_up "{command: [/bin/sh, -c, \"echo \$\$ > $lab_dir/fence-pid; exec sleep 100\"], timeout: 200s, policy: required}"
lifetime() { ip -n "$(ns box)" -j address show dev eth0 | jq '.[].addr_info[] | select(.local == "10.9.0.1") | .valid_life_time'; }
renewed() { local now; now=$(lifetime) && ((now > before)); }
below_25() { before=$(lifetime) && ((before < 25)); }

get_rate=500000 get one http://10.9.0.1/20m.bin # 40 s: longer than an address lives that nobody renews
get three http://10.9.0.5/paced/20m.bin
wait_for 10 "the downloads" get_reached one 100000
pull_cable server
wait_for 10 "the first takeover" opened web1
ip -n "$(ns sw)" link set second down
wait_for 10 "the fence" test -s "$lab_dir/fence-pid"
ip -n "$(ns sw)" link set third down
wait_for 10 "the third takeover" opened web3
wait_for 20 "the address to grow old" below_25
wait_for 20 "the address to be renewed" renewed
get_wait 60 one three
get_check one 20m.bin
get_check three 20m.bin
lab_alive "$(cat "$lab_dir/fence-pid")" || fail "the fence did not hang"
appliance_signal TERM
wait_for 5 "the announcement" event still-serving
appliance_signal TERM
appliance_wait 5
[[ $appliance_status == 0 ]] || fail "exit status $appliance_status"
lab_alive "$(cat "$lab_dir/fence-pid")" && fail "the fence lives on"
[[ -z $(box_traces) ]] || fail "left behind: $(box_traces)"
pass "held, renewed, another server taken and all ended while a fence hung"
