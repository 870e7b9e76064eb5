#!/usr/bin/env bash
# The backup serves the same bytes with other validators: proved by digest.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
make_files 1k.bin 100k.bin 1m.bin 20m.bin
cp -r "$lab_dir/www" "$lab_dir/www-backup"
touch -d '2026-02-02 00:00:00 UTC' "$lab_dir"/www-backup/*
start_nginx server
start_nginx backup "$lab_dir/www-backup"
appliance_start --debug
get one http://10.9.0.1/paced/20m.bin http://10.9.0.1/1k.bin
wait_for 10 "the download" get_reached one 4000000
phases_survive 50
get_wait 30 one
get_check one 20m.bin 1k.bin
event connection-continued '"reason":"digest"' || fail "no connection was continued by digest"
pass "$(phases_summary)"
