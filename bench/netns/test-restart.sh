#!/usr/bin/env bash
# A killed appliance starts again beside a living server: its store is read, and it protects what it sees
# from then on.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
many old --host 10.9.0.1 --count 10 --phases idle,accepted
many_ready old
appliance_signal KILL
wait_for 5 "the appliance to end" lab_ended "$appliance"
: >"$lab_dir/appliance.log"
appliance_start --debug
event store-loaded || fail "the store was not read"
get new http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached new 4000000
pull_cable server
get_wait 30 new old
get_check new 20m.bin
[[ $(many_field old wrong) == 0 ]] || fail "wrong bytes"
all_settled
pass "$account_continued of $account_live continued;" \
	"$(many_field old ok) of 10 older than the start"
