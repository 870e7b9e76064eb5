#!/usr/bin/env bash
# 200 connections in all phases at once. After detection, under 100 ms; no stall of a second.
# Alone: it is the figure of a takeover that is written down.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
phases_survive 200
below_ms "$(takeover_ms)" 100 "takeover after detection, ms"
below_ms "$(many_field all stall_ms)" 1000 "longest stall, ms"
pass "$(phases_summary)"
