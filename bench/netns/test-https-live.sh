#!/usr/bin/env bash
# Long downloads over TLS with `keys: live`: the box follows records as they come and keeps no more than the one under way, so what
# is far longer than `retain` is continued when the server dies in the middle. With `keys: sealed` as well: of what is not kept the
# keys show that it was all data.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/https-live.sh"
https_live_up 1k.bin 400m.bin

marker=jeebs-marker-0123456789-abcdefghijklmnopqrstuvwx
printf 'CLIENT_RANDOM %064d %s\n' 0 "$(printf %s "$marker" | od -An -v -tx1 | tr -d ' \n')" >"$lab_dir/marker"
marked() { python3 "$lab_root/bench/netns/find-secrets.py" "$lab_dir/marker" "$@"; }

get_rate=25000000
get 1.3 -k --http1.1 -H "X-Marker: $marker" https://10.9.0.1/400m.bin https://10.9.0.1/1k.bin
get 1.2 -k --http1.1 --tls-max 1.2 -H "X-Marker: $marker" https://10.9.0.1/1k.bin https://10.9.0.1/400m.bin
get sealed -k --http1.1 https://10.9.0.1:8443/400m.bin
get sealed-1.2 -k --http1.1 --tls-max 1.2 https://10.9.0.1:8443/400m.bin
for id in 1.3 1.2 sealed sealed-1.2; do
	wait_for 60 "the download '$id'" get_reached "$id" 150000000
done
status "web1:443: 2 of 2 sessions have keys" || fail "no keys: $(cat "$lab_dir/status")"
[[ $(marked "$lab_dir/state") == 0 ]] || fail "plaintext is in the store"
pull_cable server
wait_for 10 "the takeover" taken_over
get_hurry
get_wait 60 1.3 1.2 sealed sealed-1.2
get_check 1.3 400m.bin 1k.bin
get_check 1.2 1k.bin 400m.bin
get_check sealed 400m.bin
get_check sealed-1.2 400m.bin
all_settled
((account_continued == 4)) || fail "$account_continued of 4 continued"
pass "four downloads of 400 MB over TLS with 1 MiB kept, longest stall $(longest_stall 1.3 1.2 sealed sealed-1.2) ms"
