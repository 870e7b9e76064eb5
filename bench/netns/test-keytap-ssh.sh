#!/usr/bin/env bash
# Stock sshd with the key tap: of each key exchange there is one record, with which all packets of the connection decrypt, and
# which the collector had answered before the server's first packet under the new keys was on the wire. Nothing of the tap is
# in a user's shell.
# Alone: it measures when a record was there.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
need python3 openssl sshd ssh sftp ssh-keygen ss jq
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }
lab_up
keytap_up
keytap_collect --answer-ms 6 --wait-ms 2000
tapped_sshd 22
tapped_listen

keytap_ssh_config
login() { # USER SSH-ARGUMENTS...
	local user=$1
	shift
	in_ns client ssh -F "$lab_dir/ssh_config" "$user@server" "$@" 2>"$lab_dir/ssh.$user.err" ||
		fail "ssh $user $*: status $?: $(tail -n1 "$lab_dir/ssh.$user.err")"
}

# What a user's command has of its own.
clean_shell() {
	local got=$lab_dir/shell.$1
	login "$1" 'env; ls -l /proc/self/fd; tr "\0" "\n" </proc/$$/environ' >"$got" </dev/null
	grep -qiE 'LD_PRELOAD|KEYTAP|tap\.sock' "$got" && fail "in the shell of $1: $(grep -iE 'PRELOAD|KEYTAP' "$got" | head -n1)"
	[[ $(grep -c -- '->' "$got") == 4 ]] || fail "descriptors of $1: $(grep -- '->' "$got" | tr '\n' ' ')"
}
ciphers=(chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes128-ctr)
exchanges=(sntrup761x25519-sha512@openssh.com curve25519-sha256 ecdh-sha2-nistp256)
head -c 250000 /dev/urandom >"$lab_dir/said"
logins_of() { # USER KEY-EXCHANGE...
	local cipher kex
	clean_shell "$1"
	for cipher in "${ciphers[@]}"; do
		for kex in "${@:2}"; do
			# What is said comes back; new keys are wanted on the way.
			login "$1" -o Ciphers=$cipher -o KexAlgorithms=$kex -o MACs=hmac-sha2-256-etm@openssh.com -o RekeyLimit=400K \
				cat <"$lab_dir/said" >"$lab_dir/heard.$1"
			cmp "$lab_dir/said" "$lab_dir/heard.$1" || fail "$1 $cipher $kex: other bytes"
		done
	done
}
logins_of root curve25519-sha256 &
root=$!
logins_of jeeb "${exchanges[@]}" &
jeeb=$!
wait $root && wait $jeeb || exit 1
logins=14
login jeeb -o KexAlgorithms=diffie-hellman-group16-sha512 -o MACs=hmac-sha2-512-etm@openssh.com -o Ciphers=aes256-ctr true </dev/null
login root -o KexAlgorithms=ecdh-sha2-nistp521 true </dev/null
head -c 700000 /dev/zero >"$lab_dir/sshd/home/file"
printf 'get %s/sshd/home/file %s/fetched\n' "$lab_dir" "$lab_dir" >"$lab_dir/batch"
in_ns client sftp -F "$lab_dir/ssh_config" -o RekeyLimit=300K -b "$lab_dir/batch" jeeb@server >"$lab_dir/sftp.out" 2>&1 ||
	fail "sftp: $(tail -n1 "$lab_dir/sftp.out")"
cmp "$lab_dir/sshd/home/file" "$lab_dir/fetched" || fail "sftp: other bytes"
logins=$((logins + 3))
lab_capture_end
kill "$keytap_collector"

: >"$lab_dir/keylog"
keytap_proof
told=$(jq '.["22"].handshakes' "$lab_dir/proof")
keytap_told 22 '.handshakes == .recorded and .decrypted == .recorded and .lead_ms >= 0'
((told >= logins + 12)) || fail "$told key exchanges in $logins logins"
# Confined children of sshd told the first keys, users' processes the later ones.
[[ $(jq -s '[.[].record | select(.) | .uid] | unique == [0]' "$lab_dir/records") == true ]] || fail "who connected was not root"
[[ $(jq -s 'all(.[].record | select(.); .one.client == .client and .one.server == .server)' "$lab_dir/records") == true ]] ||
	fail "a record that is not of the process's own connection"
grep -E 'bad|fatal|signal|SIG' "$lab_dir/sshd.out" && fail "sshd: $(grep -E 'bad|fatal|signal' "$lab_dir/sshd.out" | head -n1)"
pass "$logins logins, $told key exchanges, each with its record before the first packet under its keys (at least $(jq '.["22"].lead_ms' "$lab_dir/proof") ms)"
