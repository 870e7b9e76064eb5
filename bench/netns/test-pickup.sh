#!/usr/bin/env bash
# Connections that were there before the appliance: those whose options and framing follow from what was seen
# go on, the others are refused with their reason; nobody is left waiting.
. "$(dirname "$0")/lib.sh"
lab_init
need python3
lab_up
make_files 1k.bin 100k.bin 1m.bin 20m.bin
start_nginx server
start_nginx backup

# older ID HOST ROLE=COUNT...
older() {
	local base=$lab_dir/get/$1 host=$2
	shift 2
	(
		in_ns client python3 "$lab_root/bench/netns/oldclient.py" "$host" "$lab_dir/www" "$base" "$@" \
			>"$base.json" 2>"$base.err" || true
		: >"$base.exit"
	) &
	wait_for 10 "the connections of '$1' to be open" test -e "$base.open"
}

# fate ID ROLE FATE: how many met it
fate() { grep "\"role\": \"$2\"" "$lab_dir/get/$1.json" | grep -c "\"fate\": \"$3\"" || true; }

# all_met ID ROLE FATE COUNT
all_met() {
	[[ $(fate "$1" "$2" "$3") == "$4" ]] ||
		fail "$1, $2: $(fate "$1" "$2" "$3") of $4 $3: $(grep "\"role\": \"$2\"" "$lab_dir/get/$1.json" | grep -v "\"fate\": \"$3\"" | head -n1)"
}

older plenty 10.9.0.1 idle=5 body=5 upload=3 small=5 busy=2 download=3 silent=5
in_ns client sysctl -qw net.ipv4.tcp_timestamps=0 net.ipv4.tcp_window_scaling=0 net.ipv4.tcp_sack=0
older plain 10.9.0.1 idle=3 body=3 upload=2 small=3
in_ns client sysctl -qw net.ipv4.tcp_timestamps=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_sack=1
older six fd09::1 idle=2 body=2 upload=1
appliance_start --debug
for id in plenty plain six; do touch "$lab_dir/get/$id.go"; done
for id in plenty plain six; do
	wait_for 30 "the connections of '$id' to be in their phases" test -e "$lab_dir/get/$id.ready"
done
jeebsctl -o json show connections web1 >"$lab_dir/connections.json"

# What people are told before anything happens.
clients_with() {
	python3 -c 'import json, sys
for c in json.load(open(sys.argv[1]))["data"]:
	if c["reason"] == sys.argv[2]: print(c["client"])' "$lab_dir/connections.json" "$1"
}
for client in $(clients_with idle); do
	jeebsctl explain "$client" >"$lab_dir/idle.txt" || fail "an idle one would not be continued"
	grep -q 'timestamps: used (in all' "$lab_dir/idle.txt" && break
done
grep -q 'window scale of the client: between [5-9] and [0-9]*; [5-9] is safe and used; [0-9]* in flight on a field' "$lab_dir/idle.txt" ||
	fail "no evidence: $(cat "$lab_dir/idle.txt")"
jeebsctl explain "$(clients_with handshake-not-seen | head -n1)" >"$lab_dir/small.txt" && fail "a small one would be continued"
grep -q 'handshake-not-seen): window scale of the client: between [0-4] and [0-9]*$' "$lab_dir/small.txt" ||
	fail "not told what is missing: $(head -n1 "$lab_dir/small.txt")"

pull_cable server
wait_for 10 "the takeover" taken_over
for id in plenty plain six; do touch "$lab_dir/get/$id.go-on"; done
get_wait 40 plenty plain six

for id in plenty plain six; do
	grep -q '"fate": "hung"' "$lab_dir/get/$id.json" && fail "hung: $(grep -m1 hung "$lab_dir/get/$id.json")"
	grep -q '"fate": "wrong"' "$lab_dir/get/$id.json" && fail "wrong: $(grep -m1 wrong "$lab_dir/get/$id.json")"
done
all_met plenty idle ok 5
all_met plenty body ok 5
all_met plenty upload ok 3
all_met plenty small reset 5
all_met plenty busy reset 2
all_met plenty download reset 3
all_met plenty silent reset 5
all_met plain idle ok 3
all_met plain body ok 3
all_met plain upload ok 2
all_met plain small ok 3 # without scaling the window itself is enough
all_met six idle ok 2
all_met six body ok 2
all_met six upload ok 1
refusals() { grep -F '"event":"connection-refused"' "$lab_dir/appliance.log" | grep -cF "\"reason\":\"$1\"" || true; }
[[ $(refusals handshake-not-seen) == 5 ]] || fail "$(refusals handshake-not-seen) of 5 small ones refused for their options"
[[ $(refusals framing-unknown) == 5 ]] || fail "$(refusals framing-unknown) of 5 busy ones and downloads refused for their framing"
event connection-aborted && fail "a connection was aborted: $(event_field connection-aborted reason)"
all_settled
pass "$account_continued older than the box continued, $(event_field failover-summary refused) refused with their reason," \
	"5 unknown ones reset"
