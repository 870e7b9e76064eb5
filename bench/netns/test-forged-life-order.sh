#!/usr/bin/env bash
# The same where the operator orders the takeover, after a fence that succeeds.
lab_order=1
. "$(dirname "$0")/test-forged-life.sh"
