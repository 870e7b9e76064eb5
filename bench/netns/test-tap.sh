#!/usr/bin/env bash
# A TAP, or two mirror sessions: what the server says comes on one interface of the box, what is said to it on another one,
# and there later. Downloads and connections that are kept alive go on as if it were one.
#	test-tap.sh [DELAY-US...]
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirror.sh"

mirror_to=eth2
lab_health='{interval: 100ms, timeout: 100ms, fall: 4, rise: 3}' # what was said last is seen before the takeover
tapped() {
	lab_init
	need ethtool
	mirror_up "$1"
	usual_start
	many alive --host 10.9.0.1 --count 10 --phases idle,pipelined,tail,held --timeout 60
	many_ready alive
	phases_survive 20
	get_wait 60 alive
	many_check alive
	mirror_holds
	(($1 == 0 || $(metric_sum jeebs_tcp_waited_segments_total) > 0)) || fail "nothing waited for what it answers"
	pass "$1 us later: $(phases_summary)"
}

(($# != 1)) || tapped "$1"
(($# > 0)) || set -- 0 2000 200000
for delay; do
	"$0" "$delay" >&2 || fail "what is said to the server seen $delay us later"
done
lab_verdict=pass
printf 'ok    %-28s %s\n' tap "one direction on each of two interfaces, 20 downloads and 10 others, $* us later"
