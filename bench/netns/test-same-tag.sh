#!/usr/bin/env bash
# The backup's copy of a file failed half-way: it has the size and the date, of which nginx makes its tag, and zeros for bytes.
# The client must see an error, never a wrong byte; one whose file is whole is continued.
. "$(dirname "$0")/lib.sh"
lab_init
lab_up
make_files 1k.bin 20m.bin 21m.bin
bad=$lab_dir/www-backup
cp -rp "$lab_dir/www" "$bad"
truncate -s 3000000 "$bad/20m.bin"
truncate -r "$lab_dir/www/20m.bin" "$bad/20m.bin"
touch -r "$lab_dir/www/20m.bin" "$bad/20m.bin"
start_nginx server
start_nginx backup "$bad"
tag() { in_ns "$1" curl -sfI http://127.0.0.1/20m.bin | grep -i '^etag: "'; }
[[ $(tag server) == "$(tag backup)" ]] || fail "the tags differ: $(tag server) $(tag backup)"
appliance_start --debug

get file http://10.9.0.1/paced/20m.bin
get whole http://10.9.0.1/paced/21m.bin
wait_for 10 "the download" get_reached file 4000000
wait_for 10 "the other download" get_reached whole 4000000
pull_cable server
get_wait 30 file whole
get_check whole 21m.bin
[[ $(get_exit file) != 0 ]] || fail "the client believes that all is well"
n=$(get_field file bytes)
[[ $(get_field file sha256) == "$(head -c "$n" "$lab_dir/www/20m.bin" | sha256sum | cut_field)" ]] ||
	fail "the client got wrong bytes among its first $n"
[[ $(event_field connection-aborted reason) == content-differs ]] || fail "aborted: '$(event_field connection-aborted reason)'"
pass "refused: content-differs; the whole one's stall $(longest_stall whole) ms"
