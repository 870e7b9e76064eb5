#!/usr/bin/env bash
# The box as jeebs-appliance.service runs it: a user who is not root, with the unit's capabilities and limits and no more. It is
# ready, the rehearsal of the firewall included, tells so, takes a server over and gives back what it took.
. "$(dirname "$0")/lib.sh"
lab_init
need setpriv prlimit socat
lab_up
make_files 1k.bin 20m.bin
start_nginx server
start_nginx backup

unit=$JEEBS_BUILD/systemd/jeebs-appliance.service
unit_says() { sed -nE "s/^$1=//p" "$unit"; }
capabilities=$(unit_says AmbientCapabilities)
[[ $capabilities == "$(unit_says CapabilityBoundingSet)" && $capabilities == CAP_* ]] || fail "no capabilities in $unit"
capabilities=$(for it in $capabilities; do printf ',+%s' "${it#CAP_}"; done)
capabilities=${capabilities,,}
chown 65534:65534 "$lab_dir" # for the control socket
install -d -o 65534 -g 65534 -m 700 "$lab_dir/state"
socat -u "UNIX-RECV:$lab_dir/notify,mode=666" "OPEN:$lab_dir/told,creat,append" 2>"$lab_dir/socat.err" &
wait_for 5 "the service manager's socket" test -S "$lab_dir/notify"
JEEBS_LAB_WRAP="NOTIFY_SOCKET=$lab_dir/notify prlimit --core=$(unit_says LimitCORE) --
	setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all$capabilities --inh-caps=-all$capabilities --ambient-caps=-all$capabilities --"
JEEBS_LAB_WRAP=${JEEBS_LAB_WRAP//$'\n'/ }
appliance_start --debug
[[ $(awk '$1 == "Uid:" { print $2 $3 $4 }' "/proc/$appliance/status") == 655346553465534 ]] || fail "it is not that user"
told() { tr -d '\n' <"$lab_dir/told" | grep -q "$1"; }
wait_for 5 "the service manager to be told" told READY=1
ready() { in_ns box curl -s http://127.0.0.1:9817/readyz >"$lab_dir/readyz"; grep -qx ready "$lab_dir/readyz"; }
wait_for 15 "readiness" ready
event priority-not-raised && fail "its priority"
get_rate=4000000 get one http://10.9.0.1/20m.bin
wait_for 10 "the download" get_reached one 1000000
pull_cable server
get_hurry
get_wait 30 one
get_check one 20m.bin
all_continued
wait_for 5 "readiness for new connections" in_ns client curl -sf -o /dev/null http://10.9.0.1/1k.bin
# As the service manager ends it after a takeover.
[[ $(unit_says FinalKillSignal) == SIGTERM ]] || fail "the second signal is not SIGTERM"
appliance_signal TERM
wait_for 5 "the first signal to be announced" event still-serving
told STOPPING=1 && fail "it ends at the first signal"
appliance_signal TERM
appliance_wait 10
[[ $appliance_status == 0 ]] || fail "exit status $appliance_status: $(tail -n1 "$lab_dir/appliance.log")"
told STOPPING=1 || fail "its end was not told: $(cat "$lab_dir/told")"
[[ ! $(box_traces) ]] || fail "left: $(box_traces)"
pass "ready as uid 65534 with the unit's capabilities, rehearsal included; longest stall $(longest_stall one) ms; nothing left"
