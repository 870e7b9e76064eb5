#!/usr/bin/env bash
# Clients of the metrics port that take a connection and their time, from one address and from many: a scrape gets in,
# from an address of theirs as well. A request that drips has a deadline.
. "$(dirname "$0")/lib.sh"
slow=193
lab_metrics=10.9.0.3:9817

lab_init
need python3
lab_up
many_addresses=()
for i in {1..100}; do
	ip -n "$(ns client)" address add "10.9.0.$((100 + i))/24" dev eth0
	many_addresses+=("10.9.0.$((100 + i))")
done
usual_start

scrapes() { # FROM
	in_ns client curl -sS --fail --max-time 1 --interface "$1" http://$lab_metrics/metrics -o "$lab_dir/page" 2>"$lab_dir/curl.err" &&
		grep -q '^jeebs_' "$lab_dir/page"
}
scrape() { # FROM SLOW
	scrapes "$1" || fail "with $slow slow clients from $2, a scrape from $1 fails: $(cat "$lab_dir/curl.err")"
}

slow_clients() { # NAME COUNT ADDRESS...
	local name=$1
	shift
	in_ns_exec client python3 "$lab_root/bench/netns/slow-scrapers.py" 10.9.0.3 9817 "$@" >"$lab_dir/$name.out" 2>"$lab_dir/$name.err" &
	slow_pid=$!
	wait_for 10 "the slow clients" grep -q 'all here' "$lab_dir/$name.out"
}

slow_clients one $slow 10.9.0.101
for _ in {1..20}; do
	scrape 10.9.0.10 "one address"
	scrape 10.9.0.101 "one address"
done
kill "$slow_pid"
slow_clients many $slow "${many_addresses[@]}"
for _ in {1..20}; do
	scrape 10.9.0.10 "many addresses"
	scrape 10.9.0.102 "many addresses"
done
lab_alive "$slow_pid" || fail "the slow clients ended: $(tail -n1 "$lab_dir/many.err")"
kill "$slow_pid"
slow_clients drip 1 10.9.0.10
wait_for 15 "the deadline of a request that drips" lab_ended "$slow_pid"
pass "$slow slow clients from one address and from 100: 80 scrapes of at most 1 s; one that drips is closed after $(tail -n1 "$lab_dir/drip.out") s"
