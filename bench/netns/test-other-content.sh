#!/usr/bin/env bash
# The backup serves other bytes under other validators. The client must see an error, never
# a wrong byte.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
make_files 1k.bin 20m.bin
mkdir "$lab_dir/www-backup"
"$lab_tools/make-pattern" --salt 1 "$lab_dir/www-backup" 1k.bin 20m.bin
start_nginx server
start_nginx backup "$lab_dir/www-backup"
appliance_start --debug

# right_so_far ID FILE: what the client has is the beginning of the file.
right_so_far() {
	local n
	n=$(get_field "$1" bytes)
	[[ $(get_field "$1" sha256) == "$(head -c "$n" "$lab_dir/www/$2" | sha256sum | cut_field)" ]] ||
		fail "client '$1' got wrong bytes among its first $n"
}

get file http://10.9.0.1/paced/20m.bin
get chunked http://10.9.0.1/chunked/20m.bin
wait_for 10 "the download" get_reached file 4000000
wait_for 10 "the chunked download" get_reached chunked 1000000
pull_cable server
get_wait 30 file chunked
for id in file chunked; do
	[[ $(get_exit "$id") != 0 ]] || fail "client '$id' believes that all is well"
	right_so_far "$id" 20m.bin
done
# The account says so as well: nobody was continued, whatever was hoped for at first.
all_settled
((account_continued == 0 && account_live == 2 && account_refused + account_aborted == 2)) ||
	fail "$account_continued continued, $account_refused refused, $account_aborted aborted of $account_live"
((account_aborted > 0)) && [[ $(event_field failover-settled aborted_because) =~ ^[a-z-]+\ [12] ]] || fail "no reason for the aborted"
[[ $(jeebsctl -o server,continued,aborted,settled show failovers | tail -n1 | tr -s ' ') == "web1 0 $account_aborted yes" ]] ||
	fail "jeebsctl: $(jeebsctl show failovers)"
get next http://10.9.0.1/1k.bin
get_wait 10 next
[[ $(get_exit next) == 0 ]] || fail "a new connection fails: $(get_error next)"
pass "refused: $(event_field connection-aborted reason)$(event_field connection-refused reason)"
