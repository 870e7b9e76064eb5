#!/usr/bin/env bash
# Stock servers with the key tap: of each handshake there is one record, with which all of it decrypts, and which the
# collector had answered before the server's first byte under its keys was on the wire.
# Alone: it measures when a record was there.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/mail.sh"
. "$(dirname "$0")/keytap.sh"
# JEEBS_LAB_MAKES: some of them (bench/keytap-debian13).
read -r -a makes <<<"${JEEBS_LAB_MAKES:-nginx apache2 haproxy lighttpd stunnel openssl vsftpd proftpd postfix exim}"
declare -A port_of=([nginx]=443 [apache2]=444 [haproxy]=445 [lighttpd]=446 [stunnel]=447 [openssl]=448 [vsftpd]=21 [proftpd]=2121 [postfix]=587 [exim]=25)
need python3 openssl curl ss jq
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }
lab_up
keytap_up
# Slow enough that a byte which does not wait is seen.
keytap_collect --answer-ms 6 --wait-ms 2000 --mode 666
for make in "${makes[@]}"; do "tapped_$make" "${port_of[$make]}"; done
tapped_listen

# ---- clients ----------------------------------------------------------------------------------

export SSLKEYLOGFILE=$lab_dir/keylog
: >"$SSLKEYLOGFILE"
# tls VERSION CURL-ARGUMENTS...
tls() {
	in_ns client curl -sSk --max-time 10 --tlsv1.2 --tls-max "$@" >"$lab_dir/answer" 2>"$lab_dir/curl.err" ||
		fail "curl $*: $(tail -n1 "$lab_dir/curl.err")"
}
for make in "${makes[@]}"; do
	port=${port_of[$make]}
	for version in 1.2 1.3; do
		case $make in
		vsftpd | proftpd) tls $version --ssl-reqd "ftp://10.9.0.1:$port/file" ;;
		postfix | exim) tls $version --ssl-reqd "smtp://10.9.0.1:$port/" -X NOOP ;;
		# The second one resumes the first.
		*) tls $version --http1.1 -H 'Connection: close' "https://10.9.0.1:$port/" "https://10.9.0.1:$port/" ;;
		esac
	done
done
tls 1.3 'https://[fd09::1]:443/'

# Others take over from those who run: new workers, a libssl that is unloaded and loaded again, a program that starts anew.
hellos() { jq -s "[.[].hello | select(.) | select(.program == \"$1\")] | length" "$lab_dir/records"; }
reload() { # MAKE SIGNAL
	local before
	before=$(hellos "$1")
	kill -"$2" "${tapped_pids[$1]}"
	wait_for 5 "$1 to be reloaded" eval "((\$(hellos $1) > $before))"
	wait_for 5 "$1 to serve again" in_ns client curl -sk --max-time 5 -o /dev/null "https://10.9.0.1:${port_of[$1]}/"
}
unset SSLKEYLOGFILE
reload nginx HUP
reload apache2 USR1
reload haproxy USR2
lab_capture_end
kill "$keytap_collector"

# ---- what was told of it ----------------------------------------------------------------------

keytap_proof
total=0
# told PORT HANDSHAKES RESUMED [LOGGED]: each of them. LOGGED: so many of them are in the client's key log.
told() {
	keytap_told "$1" ".handshakes == $2 and .recorded == $2 and .decrypted == $2 and .as_client == ${4:-$2} and .resumed == $3 and .lead_ms >= 0"
	total=$((total + $2))
}
for make in "${makes[@]}"; do
	port=${port_of[$make]}
	case $make in
	nginx) told $port 6 2 5 ;;
	apache2 | haproxy) told $port 5 2 4 ;;
	lighttpd) told $port 4 1 ;; # TLS 1.2 alone
	vsftpd | proftpd | postfix) told $port 2 0 ;;
	# A tap that is loaded by a program of GnuTLS is harmless, and tells nothing.
	exim) keytap_told $port '.handshakes == 2 and .recorded == 0' ;;
	*) told $port 4 2 ;;
	esac
done
# The data connections of FTP: they are among the ports that nobody named.
data=$(jq -r --arg named "${port_of[*]}" 'keys[] | select(. as $p | $named | split(" ") | index($p) | not)' "$lab_dir/proof")
for port in $data; do told "$port" 1 1; done
((${#makes[@]} < 10 || total == 38)) || fail "$total handshakes, not 38: $(jq -c . "$lab_dir/proof")"

keytap_told "${port_of[haproxy]}" '.retried == 3'
# Its own callback got every line: what its clients logged is there.
for random in $(jq -r '.record | select(.) | select(.server[1] == 448) | .random' "$lab_dir/records"); do
	cmp <(grep -F " $random " "$lab_dir/own.keylog" | sort) <(grep -F " $random " "$lab_dir/keylog" | sort) || fail "a key log of its own lacks lines"
done

# Nobody but proftpd forks when it is root no more: a socket for root alone would do for the others.
users=$(jq -r 'select(.hello) | .hello | "\(.program) \(.uid)"' "$lab_dir/records" | sort -u | grep -v ' 0$' || true)
[[ $users == "proftpd 65534" || ${#makes[@]} -lt 10 && ! $users ]] || fail "who connected as a user: $users"
pass "${#makes[@]} servers: $total handshakes, each with its record before the first protected byte (at least $(jq '[.[].lead_ms // empty] | min' "$lab_dir/proof") ms)"
