#!/usr/bin/env bash
# Stock curl downloads from stock nginx go on over the death of the server: throttled, fast,
# several requests on one connection, chunked.
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every
lab_up
make_files 1k.bin 100k.bin 20m.bin 512m.bin
start_nginx server
start_nginx backup
appliance_start --debug

get_rate=4000000 get throttled http://10.9.0.1/20m.bin
get fast http://10.9.0.1/512m.bin
get again http://10.9.0.1/paced/20m.bin http://10.9.0.1/100k.bin http://10.9.0.1/1k.bin
get chunked http://10.9.0.1/chunked/20m.bin
wait_for 10 "the throttled download" get_reached throttled 1000000
wait_for 10 "the first of several" get_reached again 5000000
wait_for 10 "the chunked download" get_reached chunked 5000000
wait_for 10 "the fast download" get_reached fast 10000000
pull_cable server
get_wait 30 throttled fast again chunked
get_check throttled 20m.bin
get_check fast 512m.bin
get_check again 20m.bin 100k.bin 1k.bin
get_check chunked 20m.bin
pass "4 downloads, longest stall $(longest_stall throttled fast again chunked) ms"
