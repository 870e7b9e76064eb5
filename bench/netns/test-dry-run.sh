#!/usr/bin/env bash
# The drill on captures of this very run: it says what the takeover then did, without root, and says clearly
# what is wrong with a damaged file.
. "$(dirname "$0")/lib.sh"
lab_init
need tcpdump jq setpriv
lab_up
usual_start
make_files 64k.bin
lab_capture seen.pcap -s 0

# As nobody, from a place nobody can read: the tree may lie in somebody's home.
mkdir "$lab_dir/drill"
cp "$JEEBS_BUILD/appliance/jeebs-appliance" "$(lab_modules)"/http{,-oracle}.so "$lab_dir/drill"
drill() {
	setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs -- \
		"$lab_dir/drill/jeebs-appliance" --modules "$lab_dir/drill" --dry-run "$@"
}

# drill_exits STATUS NAME ARGUMENTS...: the output is in $lab_dir/NAME.json, messages in NAME.txt.
drill_exits() {
	local want=$1 name=$2 status=0
	shift 2
	drill "$@" -o json >"$lab_dir/$name.json" 2>"$lab_dir/$name.txt" || status=$?
	[[ $status == "$want" ]] ||
		fail "$name: exit status $status, not $want: $(tail -n1 "$lab_dir/$name.txt")"
}

# Bytes of the first N records of a little-endian pcap file, headers included.
record_lengths() {
	local i length sum=0
	for ((i = 0; i < $2; i++)); do
		length=$(od -An -tu4 -j $((24 + sum + 8)) -N 4 "$1")
		sum=$((sum + 16 + length))
	done
	echo "$sum"
}

json() { jq -er "$2" "$lab_dir/$1.json" || fail "$1: no $2"; }

many all --host 10.9.0.1 --count 6 --phases held,body,tail,idle,accepted,chunked \
	--file 64k.bin --next-file 1k.bin
many_ready all
pull_cable server
wait_for 10 "the takeover" taken_over
lab_capture_end
get_wait 30 all
many_check all
all_continued
capture=$lab_dir/drill.pcap

# A small file: what was seen until the death was detected.
detected=$(date -d "$(event_field failover-detected time)" +%s.%3N)
seen() { tcpdump -tt -n -r "$lab_dir/seen.pcap" 2>/dev/null | awk -v detected="$detected" "$1"; }
packets=$(seen '$1 < detected' | wc -l)
at=$(seen 'NR == 1 { printf "%.3f", detected - $1 }')
tcpdump -n -r "$lab_dir/seen.pcap" -c "$packets" -w "$capture" 2>/dev/null
size=$(stat -c %s "$capture")
((size < 300000)) || fail "the capture is not small: $size bytes"

# What the takeover did, and what the drill says at the moment it was detected.
drill_exits 0 as-done "$capture" --server 10.9.0.1:80 --fail-at "$at"
json as-done '.connections[] | "\(.client) \(.module) \(.reason)"' | sort >"$lab_dir/drilled"
jq -r 'select(.event == "connection-continued") | "\(.client) \(.module) \(.reason)"' \
	"$lab_dir/appliance.log" | sort >"$lab_dir/done"
diff "$lab_dir/drilled" "$lab_dir/done" >&2 || fail "the drill and the takeover differ"
[[ $(json as-done '.totals | "\(.live) \(.continue) \(.refuse)"') == "6 6 0" ]] ||
	fail "totals: $(json as-done .totals)"

# The server is found by itself; the worst moment has all of them (and perhaps a health probe); before the first SYN there is none.
drill_exits 0 auto "$capture" --server auto
[[ $(json auto ".servers[0]") == 10.9.0.1* ]] && (($(json auto .totals.live) >= 6)) ||
	fail "auto: $(jq -c '[.servers, .totals]' "$lab_dir/auto.json")"
drill_exits 0 nothing "$capture" --server 10.9.0.1 --fail-at packet:1
[[ $(jq .totals.live "$lab_dir/nothing.json") -le 1 ]] || fail "live connections after one packet"
drill_exits 0 configured "$capture" -c "$lab_dir/appliance.yaml" --fail-at "$at"
[[ $(json configured .totals.continue) == 6 ]] || fail "with the configuration: $(json configured .totals)"
# From a pipe, the same.
drill - --server 10.9.0.1:80 --fail-at "$at" -o json <"$capture" | jq -S 'del(.capture.file)' >"$lab_dir/piped"
jq -S 'del(.capture.file)' "$lab_dir/as-done.json" | diff - "$lab_dir/piped" >&2 || fail "a pipe differs from a file"

# Killed at every packet of it, no client would get a wrong byte; and at every seventh.
for every in every every:7; do
	status=0
	drill "$capture" --server 10.9.0.1:80 --fail-at "$every" -o json >"$lab_dir/$every.json" 2>"$lab_dir/$every.txt" || status=$?
	((status <= 1)) || fail "$every: exit status $status: $(jq -c .first_wrong "$lab_dir/$every.json") $(tail -n1 "$lab_dir/$every.txt")"
	[[ $(json "$every" '.cuts == .exact + ([.refused[]] | add // 0) and .wrong == 0 and .exact > 20') == true ]] ||
		fail "$every: $(jq -c 'del(.capture)' "$lab_dir/$every.json")"
done
(($(json every .cuts) > $(json every:7 .cuts))) || fail "every packet: $(json every .cuts) cuts, every seventh: $(json every:7 .cuts)"

# Connections that a missing beginning makes impossible are refused: status 1.
tcpdump -n -r "$capture" -w "$lab_dir/late.pcap" "not (tcp[tcpflags] & tcp-syn != 0)" 2>/dev/null
drill_exits 1 late "$lab_dir/late.pcap" --server 10.9.0.1:80
# By the handshake, or, where its options could be inferred, by the module that does not know where messages begin.
[[ $(json late '.totals | .live >= 4 and .refuse == .live and
	(.refuse_by_reason | keys - ["framing-unknown", "handshake-not-seen"] == [])') == true ]] ||
	fail "late: $(jq -c .totals "$lab_dir/late.json")"

# Truncated in a record, in a record header; a record of impossible length: the packet is named, and what
# came before is reported.
head -c "$((size - 7))" "$capture" >"$lab_dir/truncated.pcap"
drill_exits 65 truncated "$lab_dir/truncated.pcap" --server 10.9.0.1:80 --fail-at end
grep -q "packet $packets\b" "$lab_dir/truncated.txt" ||
	fail "truncated: packet $packets is not named: $(cat "$lab_dir/truncated.txt")"
[[ $(json truncated .capture.error.packet) == "$packets" ]] || fail "truncated: $(json truncated .capture)"
(($(json truncated .totals.live) > 0)) || fail "truncated: nothing reported of what came before"

head -c 24 "$capture" >"$lab_dir/empty.pcap"
drill_exits 0 empty "$lab_dir/empty.pcap" --server 10.9.0.1:80

third=$((24 + $(record_lengths "$capture" 2)))
cp "$capture" "$lab_dir/corrupt.pcap"
printf '\xff\xff\xff\x7f' | dd of="$lab_dir/corrupt.pcap" bs=1 seek=$((third + 8)) conv=notrunc status=none
drill_exits 65 corrupt "$lab_dir/corrupt.pcap" --server 10.9.0.1:80 --fail-at end
grep -q 'packet 3\b' "$lab_dir/corrupt.txt" || fail "corrupt: packet 3 is not named: $(cat "$lab_dir/corrupt.txt")"

printf 'this is not a capture at all' >"$lab_dir/text.pcap"
drill_exits 65 text "$lab_dir/text.pcap" --server 10.9.0.1:80
drill_exits 66 missing "$lab_dir/nowhere.pcap" --server 10.9.0.1:80
drill_exits 64 usage "$capture" --fail-at yesterday
drill_exits 78 unconfigured "$capture" -c "$lab_dir/cut"

pass "6 of 6 as in the takeover at packet $(json as-done .cut.packet); $(json every .exact) of $(json every .cuts) cuts exact, none wrong; damage named"
