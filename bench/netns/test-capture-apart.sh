#!/usr/bin/env bash
# A mirror port to capture on, and another one to take the address on, as jeebs.yaml(5) has it: clients answer the
# probe to the box's own MAC, which no mirror of the server shows. They are heard all the same.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirror.sh"
lab_init
need ethtool
mirror_up
usual_start
many six --host fd09::1 --count 10 --phases "$all_phases" --timeout 60
many_ready six
phases_survive 20
get_wait 60 six
many_check six
mirror_holds
[[ $(event_field failover-summary unanswered) == 0 ]] ||
	fail "$(event_field failover-summary unanswered) of $(event_field failover-summary live) clients were not heard"
below_ms "$(many_field all stall_ms)" 1500 "the longest stall in ms, as long as without a mirror"
pass "$(phases_summary)"
