#!/usr/bin/env bash
# The box on a trunk port, capturing on the trunk: frames are seen with their tag. The address is taken on the
# VLAN's interface, and everything leaves with the tag exactly once.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vlan.sh"
vlan_init
usual_start
vlan_survives
pass "$(phases_summary)"
