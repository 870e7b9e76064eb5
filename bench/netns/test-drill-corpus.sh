#!/usr/bin/env bash
# Bulk and short connections of real clients, IPv4 and IPv6, with a fresh capture of each: the server is killed at every
# packet of the short ones, at every hundredth of the others, and no cut is wrong.
# Alone: its captures must have every packet.
. "$(dirname "$0")/lib.sh"
lab_init
need ab chrt ethtool tcpdump python3
status=0
"$lab_root/bench/make-captures" "$lab_dir/captures" 1 >&2 || status=$?
((status == 0)) || fail "make-captures ended with status $status"

# drilled FILE CUT: proved and refused in $exact and $refused.
drilled() {
	JEEBS_BUILD=$JEEBS_BUILD "$lab_root/bench/drill-corpus" -q -f "$2" "$lab_dir/captures/$1" >"$lab_dir/$1.txt" 2>&1 ||
		fail "$1: $(grep -m1 -E '^[A-Z]+:' "$lab_dir/$1.txt")"
	exact=$(awk '$1 == "exact" { print $2 }' "$lab_dir/$1.txt")
	refused=$(awk '$1 == "refused" { print $2 }' "$lab_dir/$1.txt")
	cat "$lab_dir/$1.txt" >&2
	((exact > 50 && exact > 20 * refused)) || fail "$1: $exact exact, $refused refused"
}
drilled small.pcap every
summary="short: $exact exact, $refused refused"
drilled big.pcap every:100
pass "$summary; bulk: $exact exact, $refused refused; none wrong"
