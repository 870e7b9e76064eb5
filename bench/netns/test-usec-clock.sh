#!/usr/bin/env bash
# A server whose timestamps count microseconds: the box learns the rate, and what it sends goes on where that
# clock would be, or the client would drop it (PAWS).
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every
need jq python3 tcpdump
need_kernel 6.7 "timestamps in microseconds"
lab_up
in_ns server python3 "$(dirname "$0")/usec-clock.py" || skip "no timestamps in microseconds"
usual_start

get download http://10.9.0.1/paced/20m.bin
many all --host 10.9.0.1 --count 20 --phases body,idle,accepted,held,tail
wait_for 10 "the download" get_reached download 4000000
many_ready all
hz() {
	local client
	client=$(jeebsctl -o json show connections | jq -r '[.data[] | select(.bytes_to_client > 2000000)][0].client')
	jeebsctl -o json explain "$client" | jq -r .data.options.server_clock_hz
}
knows_rate() { [[ $(hz) == 1000000 ]]; }
wait_for 3 "the rate of the server's clock" knows_rate
pull_cable server
get_wait 30 download all
get_check download 20m.bin
many_check all
all_continued
below_ms "$(longest_stall download)" 1000 "longest stall, ms"
pass "clock of 1000000 Hz; $(phases_summary)"
