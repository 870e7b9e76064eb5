#!/usr/bin/env bash
# The unmodified ssh client and a stock sshd that dies: the core of recovery-modules/ssh goes on in its place, in a test rig, as cat: what
# the client has said comes back to it, every byte, and it ends with status 0. For each cipher, with strict key exchange and without, at
# the boundary of a packet and within one; and with new keys all the while. bench/ssh-takeovers cuts everywhere.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/ssh.sh"
need python3 openssl sshd ssh ssh-keygen ss jq
lab_record() { :; }
lab_up
ssh_rig_up
head -c 200000 /dev/urandom >"$lab_dir/little"
head -c 1000000 /dev/urandom >"$lab_dir/more"
head -c 12000000 /dev/urandom >"$lab_dir/much"
taken=0
take() { # as ssh_taken, and what must be true
	ssh_taken "${@:2}"
	ssh_told ".end == \"farewell\" and .twice == 0 and $1"
	taken=$((taken + 1))
}
for cipher in chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes128-ctr; do
	take ".strict and .cipher == \"$cipher\"" little ssh data 70000 0 -o Ciphers=$cipher -o MACs=umac-64-etm@openssh.com
	take ".strict == false and .cipher == \"$cipher\"" little "$lab_dir/ssh-not-strict" data 70000 40 -o Ciphers=$cipher -o MACs=umac-128@openssh.com
done
# 1 MiB brings new keys, by the client's will. It looks whether that is due when it sends, so once in a window of 2 MiB at least.
take '.rekeys >= 3' much ssh data 1500000 -30 -o RekeyLimit=1M
# By some of the methods of key exchange; all are in bench/ssh-takeovers.
for kex in curve25519-sha256 ecdh-sha2-nistp521 diffie-hellman-group-exchange-sha256; do
	take '.rekeys >= 1' more ssh data 70000 20 -o KexAlgorithms=$kex -o RekeyLimit=200K
done
pass "$taken takeovers of stock clients, every byte there, status 0"
