#!/usr/bin/env bash
# Headless Chromium in the middle of two pages, one by HTTP/1.1 and one by HTTP/2, each of 200 assets, a download and the upload of a
# file at once: nginx dies, and nothing is on the browser's console. Beside it curl uploads.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
need chromium-headless-shell python3
lab_up
make_files 1k.bin 4m.bin
mkdir "$lab_dir/marks"
https_up
cp "$lab_root/bench/netns/browser-page.html" "$lab_dir/www/page.html"
python3 -c 'import random, sys
r = random.Random(1)
for i in range(200):
	open("%s/asset-%03d.bin" % (sys.argv[1], i), "wb").write(r.randbytes(20000))
open(sys.argv[2], "wb").write(bytes(i % 251 for i in range(6000000)))' "$lab_dir/www" "$lab_dir/upload"

# It accepts, and reads nothing.
in_ns_exec server python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 8080), backlog=500)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
time.sleep(3600)' &
ports=(4431 4432 4433 4434)
http_only_1="4431 4433"
http_tls=$lab_dir/tls http_env=("${tapped[@]}") http_pace=yes http_sink=8080
http_server server nginx "${ports[@]}"
http_tls=$lab_dir/backup http_env=() http_pace='' http_sink=''
http_server backup nginx "${ports[@]}"
for port in "${ports[@]}"; do https_service "$port"; done
https_start

url() { echo "https://10.9.0.1:$1"; }
get_with browser bash -c '"$@" >"$0"' "$lab_dir/browser.json" /usr/bin/python3 "$lab_root/bench/netns/browser.py" "$(program chromium-headless-shell)" "$lab_dir/marks" "$(url 4431)" "$(url 4432)"
for port in 4433 4434; do
	get_with "$port" curl -sS --fail --cacert "$lab_dir/both.crt" -T "$lab_dir/upload" "$(url "$port")/put/upload-$port"
done
# Both pages have 40 assets and some of the download; with HTTP/1.1 four more have begun, with HTTP/2 most of those that begin at all.
in_the_middle() { [[ $(awk '$2 == 40 && $3 > 300000 && $4 >= (/:4432 / ? 110 : 44)' "$lab_dir/marks/titles" | wc -l) == 2 ]]; }
wait_for 60 "the pages to be in the middle" in_the_middle
for port in "${ports[@]}"; do wait_for 20 "the uploads" https_received "$port" 300000; done
https_have_keys "${ports[@]}"
pull_cable server
wait_for 10 "the takeover" taken_over
get_wait 60 browser 4433 4434
said() { jq -r --arg o "$(url "$1")" "select(.origin == \$o) | $2" "$lab_dir/browser.json"; }
want="done assets=$(cat "$lab_dir"/www/asset-*.bin | sha256sum | cut_field) download=$(files_sum 4m.bin) upload=201"
for port in 4431 4432; do
	[[ $(said "$port" .title) == "$want" ]] || fail "page on $port: $(said "$port" .title), $(said "$port" '.said[]' | sort | uniq -c | head -n 3 | paste -sd' '); the box: $(https_endings "$port")"
	[[ ! $(said "$port" '.said[]') ]] || fail "console of $port: $(said "$port" '.said[]' | head -n 3 | paste -sd' ')"
done
[[ $(said 4431 '.protocols[]') == http/1.1 && $(said 4432 '.protocols[]') == h2 ]] || fail "protocols: $(said 4431 .protocols) $(said 4432 .protocols)"
for port in "${ports[@]}"; do
	cmp -s "$lab_dir/upload" "$lab_dir/put-backup-nginx/put/upload-$port" || fail "the upload on $port is not what was sent"
done
for port in 4433 4434; do [[ $(get_exit $port) == 0 ]] || fail "curl on $port: $(get_error $port)"; done
# row PORT CLIENT PHASE FATES WHICH: what the box says of all connections of that port; for the matrix one of it.
row() {
	[[ $(https_fates "$1") == "$4" ]] || fail "$2 on $1: $(https_fates "$1")"
	in_matrix https nginx nginx "$2" "$3" "continued $5"
}
page="continued digest,continued range,continued replay"
row 4431 Chromium body "$page" digest
row 4431 Chromium body "$page" range
row 4431 Chromium upload "$page" replay
row 4432 'Chromium, HTTP/2' body "continued digest" digest
row 4432 'Chromium, HTTP/2' upload "continued digest" digest
row 4433 'curl, 100-continue' upload "continued head" head
row 4434 'curl, HTTP/2' upload "continued replay" replay
[[ $(event_field failover-summary refused) == 0 ]] || fail "refused: $(event_field connection-refused reason)"
refusals=$(jq -r 'select(.event == "connection-aborted" and .proven != "yes") | .reason' "$lab_dir/appliance.log" | paste -sd' ')
[[ ! $refusals ]] || fail "aborted: $refusals"
pass "two pages of Chromium, and two uploads of curl"
