#!/usr/bin/env bash
# The key tap as a provider of OpenSSL, by configuration alone: servers that are started with an empty environment tell each
# handshake and each key exchange before its first protected byte.
# Alone: it measures when a record was there.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/mail.sh"
. "$(dirname "$0")/keytap.sh"
# JEEBS_LAB_MAKES: some of them (bench/keytap-debian13).
read -r -a makes <<<"${JEEBS_LAB_MAKES:-nginx stunnel vsftpd postfix}"
declare -A port_of=([nginx]=443 [stunnel]=447 [vsftpd]=21 [postfix]=587)
need python3 openssl sshd ssh ssh-keygen ss jq
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }
lab_up
keytap_up
keytap_provided
keytap_collect --answer-ms 6 --wait-ms 2000
for make in "${makes[@]}"; do "tapped_$make" "${port_of[$make]}"; done
tapped_sshd 22
tapped_listen
keytap_ssh_config

export SSLKEYLOGFILE=$lab_dir/keylog
: >"$SSLKEYLOGFILE"
tls() { # VERSION CURL-ARGUMENTS...
	in_ns client curl -sSk --max-time 10 --tlsv1.2 --tls-max "$@" >"$lab_dir/answer" 2>"$lab_dir/curl.err" ||
		fail "curl $*: $(tail -n1 "$lab_dir/curl.err")"
}
for make in "${makes[@]}"; do
	port=${port_of[$make]}
	for version in 1.2 1.3; do
		case $make in
		vsftpd) tls $version --ssl-reqd "ftp://10.9.0.1:$port/file" ;;
		postfix) tls $version --ssl-reqd "smtp://10.9.0.1:$port/" -X NOOP ;;
		*) tls $version --http1.1 -H 'Connection: close' "https://10.9.0.1:$port/" "https://10.9.0.1:$port/" ;;
		esac
	done
done
head -c 400000 /dev/urandom >"$lab_dir/said"
for user in root jeeb; do
	for kex in sntrup761x25519-sha512@openssh.com ecdh-sha2-nistp384; do
		in_ns client ssh -F "$lab_dir/ssh_config" -o KexAlgorithms=$kex -o MACs=hmac-sha2-256-etm@openssh.com -o RekeyLimit=400K \
			$user@server 'env >&2; cat' <"$lab_dir/said" >"$lab_dir/heard" 2>"$lab_dir/ssh.err" || fail "ssh $user: $(tail -n1 "$lab_dir/ssh.err")"
		cmp "$lab_dir/said" "$lab_dir/heard" || fail "ssh $user $kex: other bytes"
		! grep -iE 'KEYTAP|PRELOAD' "$lab_dir/ssh.err" || fail "in the shell of $user"
	done
done
lab_capture_end
kill "$keytap_collector"

keytap_proof
total=0
for make in "${makes[@]}"; do
	case $make in nginx | stunnel) n=4 ;; *) n=2 ;; esac
	keytap_told "${port_of[$make]}" ".recorded == $n and .handshakes == $n and .decrypted == $n and .as_client == $n and .lead_ms >= 0"
	total=$((total + n))
done
keytap_told 22 '.handshakes >= 12 and .recorded == .handshakes and .decrypted == .handshakes and .lead_ms >= 0'
pass "sshd and ${#makes[@]} others by openssl.cnf alone: $total handshakes, $(jq '.["22"].handshakes' "$lab_dir/proof") key exchanges, at least $(jq '[.[].lead_ms // empty] | min' "$lab_dir/proof") ms before the first protected byte"
