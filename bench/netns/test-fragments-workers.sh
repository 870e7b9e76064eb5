#!/usr/bin/env bash
# What test-fragments.sh does, with two workers.
set -- 2
. "$(dirname "$0")/test-fragments.sh"
