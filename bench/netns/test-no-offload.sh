#!/usr/bin/env bash
# Frames as they are on a real wire: no segmentation offload, no super-packets.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up --no-offload
usual_start
phases_survive 50
pass "$(phases_summary)"
