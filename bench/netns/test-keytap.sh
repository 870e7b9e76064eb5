#!/usr/bin/env bash
# Stock servers with the key tap: of each handshake there is one record, with which all of it decrypts, and which the
# collector had answered before the server's first byte under its keys was on the wire.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/mail.sh"
. "$(dirname "$0")/keytap.sh"
need python3 openssl nginx apache2 haproxy lighttpd stunnel4 vsftpd proftpd exim4 ss jq
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }
lab_up
keytap_up
# Slow enough that a byte which does not wait is seen.
keytap_collect --answer-ms 6 --wait-ms 2000 --mode 666
tapped_nginx 443
tapped_apache2 444
tapped_haproxy 445
tapped_lighttpd 446
tapped_stunnel 447
tapped_vsftpd 21
tapped_proftpd 2121
tapped_postfix 587
tapped_exim 25
tapped_listen

# ---- clients ----------------------------------------------------------------------------------

export SSLKEYLOGFILE=$lab_dir/keylog
: >"$SSLKEYLOGFILE"
# tls VERSION CURL-ARGUMENTS...
tls() {
	in_ns client curl -sSk --max-time 10 --tlsv1.2 --tls-max "$@" >"$lab_dir/answer" 2>"$lab_dir/curl.err" ||
		fail "curl $*: $(tail -n1 "$lab_dir/curl.err")"
}
for port in 443 444 445 446 447; do
	for version in 1.2 1.3; do
		# The second one resumes the first.
		tls $version --http1.1 -H 'Connection: close' "https://10.9.0.1:$port/" "https://10.9.0.1:$port/"
	done
done
tls 1.3 'https://[fd09::1]:443/'
for port in 21 2121; do
	for version in 1.2 1.3; do tls $version --ssl-reqd "ftp://10.9.0.1:$port/file"; done
done
for port in 25 587; do
	for version in 1.2 1.3; do tls $version --ssl-reqd "smtp://10.9.0.1:$port/" -X NOOP; done
done
lab_capture_end
kill "$keytap_collector"

# ---- what was told of it ----------------------------------------------------------------------

keytap_proof
total=0
# told PORT HANDSHAKES RESUMED: each of them.
told() {
	keytap_told "$1" ".handshakes == $2 and .recorded == $2 and .decrypted == $2 and .as_client == $2 and .resumed == $3 and .lead_ms >= 0"
	total=$((total + $2))
}
told 443 5 2
for port in 444 445 447; do told $port 4 2; done
told 446 4 1 # lighttpd resumes TLS 1.2 alone
for port in 21 2121 587; do told $port 2 0; done
# The data connections of FTP.
for port in $(jq -r 'keys[] | select(tonumber > 30000)' "$lab_dir/proof"); do told "$port" 1 1; done
((total == 31)) || fail "$total handshakes, not 31: $(jq -c . "$lab_dir/proof")"
# A tap that is loaded by a program of GnuTLS is harmless, and tells nothing.
keytap_told 25 '.handshakes == 2 and .recorded == 0'

# Nobody but proftpd forks when it is root no more: a socket for root alone would do for the others.
users=$(jq -r 'select(.hello) | .hello | "\(.program) \(.uid)"' "$lab_dir/records" | sort -u | grep -v ' 0$' || true)
[[ $users == "proftpd 65534" ]] || fail "who connected as a user: $users"
pass "9 servers: $total handshakes, each with its record before the first protected byte (at least $(jq '[.[].lead_ms // empty] | min' "$lab_dir/proof") ms)"
