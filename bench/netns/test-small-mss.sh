#!/usr/bin/env bash
# Clients behind a link that passes small segments only.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
usual_start
phases_survive 50 --mss 300
pass "$(phases_summary)"
