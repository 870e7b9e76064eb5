#!/usr/bin/env bash
# nginx hangs, its host lives: connections stall but are not taken away from it.
# Alone: it measures what a busy server gets.
. "$(dirname "$0")/lib.sh"
lab_init
lab_prove=every
lab_up
usual_start
get download http://10.9.0.1/paced/20m.bin
wait_for 10 "the download" get_reached download 4000000
mapfile -t workers < <(in_ns server pgrep -P "$nginx_server")
kill -STOP "$nginx_server" "${workers[@]}"
stays 1 no_takeover
kill -CONT "$nginx_server" "${workers[@]}"
get_wait 30 download
get_check download 20m.bin
no_takeover || fail "took over a living server"
pass "no takeover in 1 s of hanging"
