#!/usr/bin/env bash
# The switch shuts the box's port for a second: nothing reaches it, neither what the server says nor what its backup answers.
# It is the box that is cut off, not the server that is dead. When the server does die, it is taken over as ever.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
plug() { ip -n "$(ns sw)" link set box "$@"; }

up_again() { (($(grep -cF '"event":"server-up"' "$lab_dir/appliance.log") > 1)); }

plug nomaster
wait_for 2 "the veto" event verdict-suppressed '"rule":"cut-off"'
stays 0.7 no_takeover
plug master br0
wait_for 2 "the server to be up again" up_again
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
no_takeover || fail "took over a living server"
pull_cable server
wait_for 3 "the takeover" taken_over
get_wait 30 download
get_check download 20m.bin
all_continued
pass "cut off for a second: no takeover; taken over when it died, stall $(longest_stall download) ms"
