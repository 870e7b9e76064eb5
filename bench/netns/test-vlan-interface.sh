#!/usr/bin/env bash
# The box on a trunk port, capturing on the VLAN's interface: frames are seen without their tag.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/vlan.sh"
vlan_init
lab_capture_interface=vlan5
usual_start
vlan_survives
pass "$(phases_summary)"
