#!/usr/bin/env bash
# A TAP, or two mirror sessions: what the server says comes on one interface of the box, what is said to it on another one,
# and there later by DELAY microseconds. Downloads and connections that are kept alive go on as if it were one.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirror.sh"

mirror_to=eth2
tapped() {
	note "what is said to the server is seen $1 us later"
	mirror_up "$1"
	usual_start
	many alive --host 10.9.0.1 --count 10 --phases idle,pipelined,tail,held --timeout 60
	many_ready alive
	phases_survive 20
	get_wait 60 alive
	many_check alive
	mirror_holds
	[[ $(jeebsctl status --json | jq .capture.drops) == 0 ]] || fail "the capture lost packets"
}
