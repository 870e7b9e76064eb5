#!/usr/bin/env bash
# Clients behind a router: all their frames carry its MAC.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up --router
usual_start
phases_survive 50
pass "$(phases_summary)"
