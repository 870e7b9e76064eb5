#!/usr/bin/env bash
# A PUT of 48 MiB, cut in the middle: what the old server had acknowledged is more than the appliance may hold in memory.
# It was in the store, and the backup gets every byte: its file is compared.
#
# With $store_size the store has no room for it (test-long-upload-no-room.sh): that one connection is refused by name.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/http-servers.sh"
: "${JEEBS_MIB:=48}"
[[ -z ${store_size:-} ]] || lab_extra="store: {size: $store_size}"
lab_record() { :; }
lab_capture='buffer: 12MiB, spill: 1MiB' # of each worker
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
status_of_appliance() { awk -v k="$1:" '$1 == k { print $2 }' "/proc/$appliance/status"; }
spilled() { (($(metric_sum jeebs_store_spilled_bytes) >= JEEBS_MIB * 1048576 / 2)); }
none_spilled() { (($(metric_sum jeebs_store_spilled_bytes) == 0)); }
no_room() { (($(metric_sum jeebs_store_spill_refused_total) > 0)); }
much_arrived() { (($(cat "$lab_dir"/put-server-nginx/body/* | wc -c) > JEEBS_MIB * 1048576 * 4 / 5)); }
stored() { cmp -s "$lab_dir/upload" "$lab_dir/put-$1-nginx/put/file"; }

put() {
	(
		set +e
		in_ns client curl -sS -o /dev/null -w '%{http_code}\n' --limit-rate 20M -T "$lab_dir/upload" \
			"http://10.9.0.1/put/$1" >"$lab_dir/get/$1.code" 2>"$lab_dir/get/$1.err"
		echo $? >"$lab_dir/get/$1.exit"
	) &
}

lab_init
lab_up
head -c $((JEEBS_MIB * 1048576)) /dev/urandom >"$lab_dir/upload"
make_files 1k.bin
http_server server nginx 80
http_server backup nginx 80
appliance_start
before=$(status_of_appliance RssAnon)
put file
if [[ ${store_size:-} ]]; then
	wait_for 10 "the store to be full" no_room
	wait_for 10 "more than memory may hold" much_arrived
else
	wait_for 10 "half of the upload in the store" spilled
fi
pull_cable server
get_wait 30 file
wait_for 5 "the summary of the failover" event failover-summary
if [[ ${store_size:-} ]]; then
	[[ $(metric_sum 'jeebs_connections_refused_total{server="web1",reason="request-log-incomplete"}') == 1 ]] ||
		fail "refused: $(event_field failover-summary refused)"
	[[ $(get_exit file) == 56 ]] || fail "curl was not reset: exit $(get_exit file): $(get_error file)"
	[[ ! -e $lab_dir/put-backup-nginx/put/file ]] || fail "the backup has a file"
	pass "no room for it in the store: request-log-incomplete, and reset at once"
fi
all_continued
[[ $(get_exit file) == 0 ]] || fail "curl: exit $(get_exit file): $(get_error file)"
[[ $(cat "$lab_dir/get/file.code") == 201 ]] || fail "status $(cat "$lab_dir/get/file.code")"
stored backup || fail "the backup's file is not what was sent"
grown=$((($(status_of_appliance RssAnon) - before) / 1024))
((grown < JEEBS_MIB / 2)) || fail "the appliance grew by $grown MiB"
wait_for 5 "the store to be rid of it" none_spilled
pass "$JEEBS_MIB MiB, the first half from the store: the same on the backup; the appliance holds $grown MiB more"
