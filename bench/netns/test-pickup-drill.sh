#!/usr/bin/env bash
# A capture that begins in the middle of its connections: killed at each packet, whatever is continued is what the server
# really went on to send.
. "$(dirname "$0")/lib.sh"
JEEBS_LAB_RECORD=no
lab_init
need python3 tcpdump
lab_up
make_files 1k.bin 100k.bin 1m.bin 20m.bin
start_nginx server
base=$lab_dir/get/older
(
	in_ns client python3 "$lab_root/bench/netns/oldclient.py" 10.9.0.1 "$lab_dir/www" "$base" \
		idle=4 small=2 busy=1 download=1 >"$base.json" 2>"$base.err" || true
	: >"$base.exit"
) &
wait_for 10 "the connections to be open" test -e "$base.open"
lab_capture older.pcap
touch "$base.go"
wait_for 30 "the connections to be in their phases" test -e "$base.ready"
touch "$base.go-on"
get_wait 30 older
lab_capture_end
[[ $(grep -c '"fate": "ok"' "$base.json") == 8 ]] || fail "a client failed: $(grep -m1 -v '"ok"' "$base.json")"

"$JEEBS_BUILD/appliance/jeebs-appliance" --modules "$(lab_modules)" --dry-run "$lab_dir/older.pcap" --server 10.9.0.1:80 \
	--fail-at every -o json >"$lab_dir/drill.json" 2>"$lab_dir/drill.err" || [[ $? == 1 ]] ||
	fail "the drill: $(tail -n1 "$lab_dir/drill.err")"
total() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$lab_dir/drill.json" "$1"; }
[[ $(total 'd["wrong"]') == 0 ]] || fail "$(total 'd["wrong"]') cuts wrong"
(($(total 'd["exact"]') > 100)) || fail "only $(total 'd["exact"]') cuts were continued: $(total 'd["refused"]')"
(($(total 'd["refused"].get("framing-unknown", 0)') > 100)) || fail "nobody's framing was unknown: $(total 'd["refused"]')"
# A cut between two segments that the capture has in another order than they were sent in: what is missing then is missing.
(($(total '100 * d["refused"].pop("server-bytes-lost", 0)') < $(total 'd["cuts"]'))) || fail "bytes lost: $(total 'd["refused"]')"
[[ $(total 'sorted(set(d["refused"]) - {"framing-unknown", "handshake-not-seen", "server-bytes-lost"})') == "[]" ]] || fail "other refusals: $(total 'd["refused"]')"
pass "$(total 'd["cuts"]') cuts in connections older than the capture: $(total 'd["exact"]') exact, 0 wrong, refused $(total 'd["refused"]')"
