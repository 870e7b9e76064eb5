#!/usr/bin/env bash
# What the collector says, or does not say, and what becomes of handshakes: it forbids, hangs, is killed, was never there.
# Servers live on in each case.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
need python3 openssl nginx haproxy apache2 lighttpd sshd ssh ssh-keygen ss jq
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }
lab_up
keytap_up
keytap_collect --mode 666 --result not-allowed --wait-ms 2000
tapped_nginx 443
tapped_apache2 444
keytap_chroot=
tapped_haproxy 445
tapped_sshd 22
tapped_listen
keytap_ssh_config
server_ports=(443 444 445)

get() { in_ns client curl -sSk --max-time 10 --tlsv1.2 --tls-max "$2" "https://10.9.0.1:$1/" >"$lab_dir/answer" 2>"$lab_dir/curl.err"; }
log_in() { in_ns client ssh -F "$lab_dir/ssh_config" "$1@server" cat <<<"${2:-}" >"$lab_dir/answer" 2>"$lab_dir/ssh.err"; }
all_served() { # WHEN
	local port version user
	for port in "${server_ports[@]}"; do
		for version in 1.2 1.3; do get $port $version || fail "$1: $port, TLS $version: $(cat "$lab_dir/curl.err")"; done
	done
	for user in root jeeb; do
		log_in $user "$1" && [[ $(cat "$lab_dir/answer") == "$1" ]] || fail "$1: $user: $(cat "$lab_dir/ssh.err")"
	done
}
again() { # OPTION...: another collector, in the place of the one before
	kill -KILL "$keytap_collector"
	keytap_collect --mode 666 "$@"
}
# Workers that have lost their collector look for the next one a second later at most.
found() {
	local port
	for port in "${server_ports[@]}"; do get $port 1.3; done
	(($(jq -s '[.[].hello | select(.) | .program] | unique - ["sshd"] | length' "$lab_dir/records") == 3))
}

# By those who were told. (Who starts when nobody is there is told nothing; JEEBS_KEYTAP_CLOSED is for it.)
nobody_served() {
	local port
	for port in "${server_ports[@]}"; do ! get $port 1.3 || return 1; done
	! log_in root no || return 1
}

# ---- forbidden: nobody gets a byte under the new keys -------------------------------------------

for port in "${server_ports[@]}"; do
	for version in 1.2 1.3; do
		! get $port $version || fail "forbidden: $port, TLS $version: $(cat "$lab_dir/answer")"
	done
done
for user in root jeeb; do ! log_in $user || fail "forbidden: $user"; done
lab_capture_end
: >"$lab_dir/keylog"
keytap_proof
for port in "${server_ports[@]}"; do keytap_told $port '.handshakes == 2 and .recorded == 2 and .lead_ms == null'; done
(($(jq -s '[.[].record | select(.protocol? == "ssh")] | length' "$lab_dir/records") == 2)) || fail "no records of ssh"
[[ $(jq '.["22"].decrypted' "$lab_dir/proof") == 0 ]] || fail "new keys were taken: $(jq -c '.["22"]' "$lab_dir/proof")"

# ---- it hangs, and sessions need not be stored: a few wait, then nobody does ---------------------

again --wait-ms 300
wait_for 10 "the servers to find the next collector" found
kill -STOP "$keytap_collector"
all_served "one that hangs"
# ---- it is killed -------------------------------------------------------------------------------
kill -KILL "$keytap_collector"
all_served "one that was killed"

# ---- and is there again -------------------------------------------------------------------------

keytap_collect --mode 666 --closed --wait-ms 2000
wait_for 10 "the servers to find it again" found
all_served "one that demands answers, and gives them"
# Without an answer there is no session now.
again --closed --hang --wait-ms 100
wait_for 10 "the servers to find the one that never answers" nobody_served
kill -KILL "$keytap_collector"
# Haproxy is one process; of the others' workers some may have been told nothing.
! get 445 1.3 || fail "closed, and the collector was killed: haproxy served"
# One that starts when nobody is there to tell it.
tapped+=(JEEBS_KEYTAP_CLOSED=1)
tapped_lighttpd 446
tapped_listen
! get 446 1.3 || fail "closed from the beginning, and no collector: served"
keytap_collect --mode 666 --closed --wait-ms 2000
wait_for 10 "it to find a collector" get 446 1.3
pass "forbidden: nobody; open, and hanging, killed or absent: everybody; closed, and no answer: nobody"
