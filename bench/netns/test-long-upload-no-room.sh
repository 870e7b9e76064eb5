#!/usr/bin/env bash
# The long upload where neither memory nor the store has room for what the old server had acknowledged.
store_size=16MiB
. "$(dirname "$0")/test-long-upload.sh"
