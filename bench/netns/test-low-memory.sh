#!/usr/bin/env bash
# Memory ends. Without any, the takeover is called off and tried again, later each time; with some, it is made: those for
# whom it does not suffice are reset and say why, the others go on, and the account adds up.
# Alone: how far the memory reaches is to depend on nobody else's threads.
. "$(dirname "$0")/lib.sh"
connections=400
lab_init
need prlimit
lab_up
make_files 1k.bin
start_nginx server
start_nginx backup
appliance_start --debug
many idle --host 10.9.0.1 --count "$connections" --phases idle --file 1k.bin --next-file 1k.bin --followups 1 \
	--ask-at-once 1 --timeout 60
many_ready idle
tracked() { [[ $(metric_sum jeebs_connections_tracked) == "$connections" ]]; }
wait_for 10 "the box to know them all" tracked

# give BYTES: of address space, more than it has taken so far.
has=$(awk '/^VmSize/ { print $2 * 1024 }' "/proc/$appliance/status")
give() { prlimit --pid "$appliance" --as="$((has + $1)):"; }
again='"event":"failover-(again|not-begun)"'
begun() { grep -c '"event":"failover-begin"' "$lab_dir/appliance.log"; }
in_vain() { (($(grep -cE "$again" "$lab_dir/appliance.log") >= 3)); }

give 0
pull_cable server
wait_for 30 "three attempts in vain" in_vain
give 1048576
wait_for 30 "the takeover" taken_over
get_wait 60 idle

waits=$(sed -nE "s/.*$again.*\"in_ms\":([0-9]+).*/\2/p" "$lab_dir/appliance.log" | tr '\n' ' ')
[[ "$waits" == "1000 2000 4000 "* ]] || fail "tried again after $waits ms"
(($(begun) <= $(wc -w <<<"$waits") + 1)) || fail "$(begun) takeovers, tried again after $waits ms"
lab_alive "$appliance" || fail "the appliance has ended"

all_settled
((account_live == connections)) || fail "$account_live connections were live at the takeover, of $connections"
[[ $(many_field idle wrong) == 0 ]] || fail "wrong bytes"
right=$(many_field idle ok)
resets=$(grep -c '"why":"reset"' "$lab_dir/get/idle.json" || true)
((right + resets == connections)) || fail "$right right and $resets reset, of $connections"
((right > 0 && resets > 0)) || fail "$right right, $resets reset: the memory is too much or too little"
# Who was reset is named; one whose memory ended when it went on already was counted as continued before.
why=$(jq -r 'select(.event == "connection-refused" or .event == "connection-aborted") | .reason' "$lab_dir/appliance.log" |
	sort | uniq -c | sort -rn | awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $1, $2 }')
named=$(grep -cE '"event":"connection-(refused|aborted)".*"reason":"(out-of-memory|no-memory|restore-failed|join-refused)"' "$lab_dir/appliance.log")
((named == resets)) || fail "$resets reset: $why"
((account_refused + account_aborted <= resets && account_continued >= right)) ||
	fail "$right right and $resets reset, but $account_continued continued, $account_refused refused, $account_aborted aborted"
pass "in vain after $waits ms; then $right of $connections right, $resets reset: $why"
