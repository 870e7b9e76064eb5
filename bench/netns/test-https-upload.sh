#!/usr/bin/env bash
# A PUT of 48 MiB over TLS, with HTTP/1.1 and with HTTP/2, cut when the old server had more than 20 MiB of each: more than any queue holds
# and more than the box may hold in memory. The backup is told what the box opens as it takes it, and its files are the same.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
: "${JEEBS_MIB:=48}"
lab_capture='buffer: 12MiB, spill: 1MiB' # of each worker
lab_up
make_files 1k.bin
head -c $((JEEBS_MIB * 1048576)) /dev/urandom >"$lab_dir/upload"
https_up
http_tls=$lab_dir/tls http_env=("${tapped[@]}")
http_server server nginx 443 8443
http_tls=$lab_dir/backup http_env=()
http_server backup nginx 443 8443
https_service 443
https_service 8443
https_start

for port in 443 8443; do
	((port == 443)) && version=--http1.1 || version=--http2
	get_with $port curl -sS --fail --cacert "$lab_dir/both.crt" $version --limit-rate 10M -T "$lab_dir/upload" -w '%{http_code}' "https://10.9.0.1:$port/put/$port"
done
for port in 443 8443; do wait_for 20 "20 MiB on port $port" https_received $port 22000000; done
https_have_keys 443 8443
pull_cable server
wait_for 10 "the takeover" taken_over
get_wait 60 443 8443
fates=([443]="continued head" [8443]="continued replay") # curl has got its 100
for port in 443 8443; do
	[[ $(get_exit $port) == 0 ]] || fail "curl on port $port: exit $(get_exit $port): $(get_error $port)"
	cmp -s "$lab_dir/upload" "$lab_dir/put-backup-nginx/put/$port" || fail "the file of port $port is not what was sent"
	fate=$(https_fates $port)
	[[ $fate == "${fates[$port]}" ]] || fail "port $port: $fate"
done
in_matrix https nginx nginx "curl, PUT of 48 MiB" upload "${fates[443]}"
in_matrix https nginx nginx "curl, HTTP/2, PUT of 48 MiB" upload "${fates[8443]}"
all_settled
# Who closes without reading our close_notify resets, perhaps before it has proven anything: its file tells.
((account_refused + account_aborted == 0)) || fail "$account_refused refused, $account_aborted aborted"
pass "two uploads of $JEEBS_MIB MiB over TLS are the same on the backup"
