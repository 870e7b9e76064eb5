#!/usr/bin/env bash
# Connections made while the server is dead, during and after the takeover, reach the backup.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
get before http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached before 4000000
pull_cable server
for i in {1..10}; do
	get "during$i" --connect-timeout 10 "http://10.9.0.1/100k.bin?$i" "http://[fd09::1]/1k.bin?$i"
done
wait_for 10 "the takeover" taken_over
for i in {1..10}; do
	get "after$i" --connect-timeout 10 "http://10.9.0.1/100k.bin?$i" "http://[fd09::1]/1k.bin?$i"
done
get_wait 30 before {during,after}{1..10}
get_check before 20m.bin
for i in {1..10}; do
	get_check "during$i" 100k.bin 1k.bin
	get_check "after$i" 100k.bin 1k.bin
	below_ms "$(longest_stall "after$i")" 500 "stall of a new connection, ms"
done
pass "20 new connections, 40 files"
