#!/usr/bin/env bash
# The same over IPv6.
export talk_host=fd09::1
. "$(dirname "$0")/test-closing-states.sh"
