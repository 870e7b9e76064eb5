#!/usr/bin/env bash
# As test-ftps-reuse.sh, with proftpd.
ftp_make=proftpd
. "$(dirname "$0")/test-ftps-reuse.sh"
