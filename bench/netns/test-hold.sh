#!/usr/bin/env bash
# While the operator holds, there is no takeover; on release there is.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
jeebsctl hold on >/dev/null
pull_cable server
wait_for 5 "the veto" event verdict-suppressed '"rule":"hold"'
stays 1 no_takeover
[[ -z $(box_traces | grep -v control.sock) ]] || fail "held, and yet: $(box_traces)"
jeebsctl hold off >/dev/null
get_wait 30 download
get_check download 20m.bin
all_continued
pass "taken over only after release"
