#!/bin/sh
# A unit as systemd reads it: no directive that it does not know, nothing that it would not start.
#	test-verify.sh UNIT PROGRAM
set -eu
export LC_ALL=C
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unit=$folder/$(basename "$1")
# The program is not installed yet.
sed "s|^ExecStart=[^ ]*|ExecStart=$(realpath "$2")|" "$1" >"$unit"
status=0
said=$(systemd-analyze verify --man=no "$unit" 2>&1) || status=$?
# Of other units of this machine nothing is told here.
said=$(printf '%s\n' "$said" | grep -F "$(basename "$1")" || true)
[ "$status" = 0 ] && [ -z "$said" ] || {
	printf 'status %s: %s\n' "$status" "$said"
	exit 1
}
