#!/usr/bin/env bash
# The same over IPv6: curl, and connections in all phases; a client over IPv4 beside them.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
get six "http://[fd09::1]/paced/20m.bin" "http://[fd09::1]/1k.bin"
get four http://10.9.0.1/paced/20m.bin
wait_for 10 "the download over IPv6" get_reached six 4000000
wait_for 10 "the download over IPv4" get_reached four 4000000
phases_survive 40 --host fd09::1
get_wait 30 six four
get_check six 20m.bin 1k.bin
get_check four 20m.bin
pass "$(phases_summary)"
