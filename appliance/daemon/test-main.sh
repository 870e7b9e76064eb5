#!/bin/sh
# The program as a user calls it: arguments, exit codes, and what is printed where.
#	test-main.sh PROGRAM MODULES-FOLDER
set -eu
program=$(realpath "$1")
modules=$(realpath "$2")
export LC_ALL=C
isolated=
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
	printf 'FAIL: %s\n' "$*" >&2
	printf '%s\n' "--- out" "$(cat out)" "--- err" "$(cat err)" >&2
	exit 1
}

# expect STATUS ARGUMENTS...: its output is left in out and err.
expect() {
	want=$1
	shift
	called=$*
	status=0
	$isolated timeout 60 "$program" "$@" >out 2>err </dev/null || status=$?
	[ "$status" = "$want" ] || fail "$called: exit status $status, not $want"
}

out_has() { grep -qF -e "$1" out || fail "$called: no '$1' in its output"; }
err_has() { grep -qF -e "$1" err || fail "$called: no '$1' in its messages"; }
no_out() { [ ! -s out ] || fail "$called: prints something"; }
no_err() { [ ! -s err ] || fail "$called: complains"; }

config() { # SERVICE-PROTOCOL
	cat <<-END
		appliance: {state_dir: $folder/state, control_socket: $folder/control.sock, modules_dir: $modules}
		capture: {interfaces: [jeebs-missing]}
		servers:
		- name: web1
		  addresses: [192.0.2.1]
		  backups: [{address: 192.0.2.2}]
		  services: [{port: 80, protocol: $1}]
	END
}
config http >good.yaml
config gopher >no-module.yaml
config gopher | sed 's/addresses/adresses/; s/gopher/htpt/; s/\(.*\)port: 80\(.*\)}]/&\n  health: {fall: 0}\n- {name: web2, addresses: [192.0.2.3], backups: [{address: 192.0.2.4}], services: [{port: 25, protocol: smtp, upgrade: SMPT}]}/' >misspelt.yaml
config http | sed 's/addresses/adresses/' >bad.yaml

# A pcap file without packets, of raw IP.
printf '\324\303\262\241\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\145\0\0\0' >empty.pcap
# ... and one that ends inside its first record.
{ cat empty.pcap && printf '\0\0\0\0'; } >short.pcap

# Usage: 64, one line that says what, one that says where to look; nothing else happens.
usage() { # SENTENCE ARGUMENTS...
	sentence=$1
	shift
	expect 64 "$@"
	no_out
	err_has "$sentence"
	err_has "Try 'jeebs-appliance --help'."
	[ "$(wc -l <err)" = 2 ] || fail "$called: says more than two lines"
}
usage "unrecognized option '--nonsense'" --nonsense
usage "invalid option -- 'x'" -x
usage "requires an argument" --config
usage "requires an argument" --dry-run
usage "unexpected argument: good.yaml" -t good.yaml
usage "not an address or ADDRESS:PORT: web1" --dry-run empty.pcap --server web1
usage "not an address or ADDRESS:PORT: 192.0.2.1:http" --dry-run empty.pcap --server 192.0.2.1:http
usage "not a time, packet:N, end, every or every:N: soon" --dry-run empty.pcap --fail-at soon
usage "not a time, packet:N, end, every or every:N: packet:0" --dry-run empty.pcap --fail-at packet:0
usage "not a format (table, json): xml" --dry-run empty.pcap -o xml
usage "takes --server or --config, not both" --dry-run empty.pcap --server auto -c good.yaml
# A drill with its file forgotten must not become a daemon.
for option in --server=auto --protocol=http --modules=. --fail-at=end --output=json; do
	usage "makes sense with --dry-run only: ${option%%=*}" "$option"
done

expect 0 --help
out_has "Usage: jeebs-appliance"
no_err
for option in -c --config -t --check-config --dump-config -d --debug -n --dry-run --server --protocol \
	--modules --fail-at -o --output -h --version; do
	out_has "$option"
done
expect 0 --version
out_has "jeebs-appliance "
[ "$(wc -l <out)" = 1 ] || fail "--version says more than one line"

# -t
expect 0 -t -c good.yaml
out_has "web1: death is noticed within 400ms"
out_has "capture.ring: what a stopped thread does not read is kept for 1.99 s at 1 MB/s, 1.57 s at 10 MB/s, 0.51 s at 100 MB/s, at least"
out_has "good.yaml: ok"
no_err
expect 0 --check-config --config good.yaml
expect 78 -t -c no-module.yaml
no_out
err_has "no-module.yaml:7:35: no recovery module for 'gopher': "
err_has "                                    ^" # below the name
# All errors of the file in the first run, in their order.
expect 78 -t -c misspelt.yaml
no_out
err_has "misspelt.yaml:5:3: unknown key 'adresses'; did you mean 'addresses'?"
err_has "misspelt.yaml:7:35: no recovery module for 'htpt' in $modules; did you mean 'http'?"
err_has "misspelt.yaml:8:18: 'fall' "
err_has "misspelt.yaml:9:"
err_has "no recovery module for 'SMPT' in $modules; did you mean 'smtp'?"
expect 78 -c misspelt.yaml # the daemon says the same
err_has "misspelt.yaml:7:35: no recovery module for 'htpt'"
# A fence program that could not be called, or that anybody could have written.
fenced() { sed "s|^  addresses|  fence: {policy: required, command: [$1, now]}\n&|" good.yaml >fenced.yaml; }
fenced "$folder/fence"
expect 78 -t -c fenced.yaml
err_has "fenced.yaml:5:38: the fence command: $folder/fence: No such file or directory"
printf '#!/bin/sh\n' >fence
expect 78 -t -c fenced.yaml
err_has "$folder/fence: Permission denied"
chmod 755 fence
expect 0 -t -c fenced.yaml
chmod 777 fence
expect 78 -t -c fenced.yaml
err_has "fenced.yaml:5:38: the fence command: $folder/fence: owned or writable by others"
expect 78 -c fenced.yaml
expect 78 -t -c bad.yaml
no_out
err_has "bad.yaml:5:3"
err_has "addresses"
expect 78 -t -c missing.yaml
err_has "jeebs-appliance: missing.yaml: No such file or directory"
expect 78 -t -c "$folder"
err_has "Is a directory"
expect 78 -t -c /dev/null

# --dump-config: a valid configuration that means the same.
expect 0 -c good.yaml --dump-config
no_err
cp out dumped.yaml
out_has "web1"
out_has "$folder/state"
out_has "interval"
expect 0 -t -c dumped.yaml
out_has "web1: death is noticed within 400ms"
expect 0 -c dumped.yaml --dump-config
cmp out dumped.yaml || fail "the dump of a dump is another"
expect 78 -c bad.yaml --dump-config
no_out

# --dry-run
expect 0 --modules "$modules" --dry-run empty.pcap --server 192.0.2.1
out_has "protected: 192.0.2.1;"
out_has "0 live connections"
no_err
expect 0 --modules "$modules" -n empty.pcap --server 192.0.2.1:80 --protocol http --fail-at 5s -o json
out_has '"api": 1'
expect 78 --modules "$modules" --dry-run empty.pcap # without --server: auto
no_out
err_has "empty.pcap: nobody answers a SYN in this capture: say --server ADDR"
expect 78 --modules "$modules" --dry-run empty.pcap --server auto
expect 0 --dry-run empty.pcap -c good.yaml --fail-at end # the modules of the configuration
out_has "protected: web1;"
expect 78 --dry-run empty.pcap -c no-module.yaml
err_has "module gopher: "
expect 78 --dry-run empty.pcap -c good.yaml --modules "$folder/nothing" # stronger than it
err_has "$folder/nothing"
expect 78 --dry-run empty.pcap -c bad.yaml
expect 65 --modules "$modules" --dry-run short.pcap --server 192.0.2.1
err_has "jeebs-appliance: short.pcap: packet 1, offset 24: "
out_has "incomplete"
expect 65 --modules "$modules" --dry-run good.yaml --server 192.0.2.1
err_has "neither pcap nor pcapng"
no_out
expect 66 --modules "$modules" --dry-run missing.pcap --server 192.0.2.1
no_out
err_has "jeebs-appliance: missing.pcap: No such file or directory"
if [ "$(id -u)" != 0 ]; then # root may read everything
	cp empty.pcap unreadable.pcap
	chmod 0 unreadable.pcap
	expect 66 --modules "$modules" --dry-run unreadable.pcap --server 192.0.2.1
	err_has "Permission denied"
fi
expect 66 --modules "$modules" --dry-run "$folder" --server 192.0.2.1
err_has "Is a directory"

# The daemon, where it cannot run. It begins with the removal of rules a crash left behind: not of this machine's.
[ "$(id -u)" != 0 ] || isolated="unshare --net"
expect 69 -c good.yaml
no_out
err_has " error "
config http | sed "s|$folder/state|$folder/nothing/state|" >no-parent.yaml
expect 78 -c no-parent.yaml
err_has "$folder/nothing/state"
err_has "the directory it is to be made in does not exist"
if [ "$(id -u)" = 0 ]; then # far enough to fail later, with a name for what is missing
	config http | sed "s/jeebs-missing/lo/; s/  addresses:/  interface: jeebs-missing\n&/" >no-link.yaml
	up=$folder/up
	printf '#!/bin/sh\nip link set lo up\nexec "$@"\n' >"$up" && chmod 755 "$up"
	isolated="unshare --net $up"
	expect 69 -c no-link.yaml
	err_has "capture-not-started worker=0 interface=jeebs-missing step=interface"
	{ config http | sed "s/jeebs-missing/lo/" && echo 'metrics: {listen: "192.0.2.99:9817"}'; } >no-metrics.yaml
	expect 69 -c no-metrics.yaml
	err_has "metrics-not-opened address=192.0.2.99:9817"
fi
isolated=
expect 78 -c bad.yaml
expect 78 -c missing.yaml

# Output that goes nowhere is no success.
for arguments in --help --version "-t -c good.yaml" "-c good.yaml --dump-config"; do
	status=0
	# shellcheck disable=SC2086 # several words
	"$program" $arguments >/dev/full 2>err || status=$?
	[ "$status" = 74 ] || fail "$arguments >/dev/full: exit status $status"
done
