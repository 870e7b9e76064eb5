#!/usr/bin/env bash
# A service whose port has never been open since the box started: nobody is told that it was, so many milliseconds ago.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
lab_services=('{port: 80, protocol: http}' '{port: 81, protocol: http}')
make_files 1k.bin
start_nginx server
start_nginx backup
lab_program "$JEEBS_BUILD/appliance/jeebs-appliance"
mkdir -p "$lab_dir/state"
appliance_config >"$lab_dir/appliance.yaml"
in_ns_exec box "$program_found" -c "$lab_dir/appliance.yaml" 2>>"$lab_dir/appliance.log" &
wait_for 10 "the port that nobody opens" event service-down 10.9.0.1:81
event service-down '"since_accepted":"never"' || fail "$(grep service-down "$lab_dir/appliance.log")"
grep service-down "$lab_dir/appliance.log" | grep -q since_accepted_ms && fail "$(grep service-down "$lab_dir/appliance.log")"
pass "since it was accepted last: never"
