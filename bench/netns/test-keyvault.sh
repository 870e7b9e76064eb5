#!/usr/bin/env bash
# Stock nginx and sshd with the key tap, jeebs-keytapd and jeebs-keyvault: each handshake's keys are in the vault before the
# first byte under them leaves. Then vault, network and collector fail in the middle of handshakes: open, everybody is served;
# closed, who is served has keys in the vault, and nothing that was acknowledged is lost.
# Alone: it measures when a record could be read, and the vault must not stand behind others between two answers.
. "$(dirname "$0")/lib.sh"
lab_init
many=${JEEBS_HANDSHAKES:-20} # of each version of TLS, 20 at a time
late=${JEEBS_LATE_MS:-20}     # by which the answers of the vault come later to the collector
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx sshd ssh ssh-keygen ss jq
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }
lab_up
keytap_up
keyvault_up web1 10.9.0.1 fd09::1
vault_start

# ---- before the first byte ----------------------------------------------------------------------
# The vault's answers come late to the collector, and at once to who watches it: a byte that did not wait would be seen.

in_ns_exec server python3 "$lab_root/bench/netns/late-relay.py" 9819 "$vault_at" "$late" 2>"$lab_dir/relay.err" &
wait_for 5 "the relay" tapped_listens 9819
# It goes before all others, as the capture does: what counts is when it could have read.
in_ns_exec box chrt -f 1 "$JEEBS_BUILD/keyvault/vault/vault-reader" "$vault_dir" "$vault_at" follow >"$lab_dir/records" 2>"$lab_dir/collector.log" &
follower=$!
collector_start --vault 127.0.0.1:9819 --wait-ms 2000
tapped_nginx 443
tapped_sshd 22
tapped_listen
keytap_ssh_config
export SSLKEYLOGFILE=$lab_dir/keylog
: >"$SSLKEYLOGFILE"
get() { # VERSION URL...
	in_ns client curl -sSk --max-time 10 --http1.1 --tlsv1.2 --tls-max "$@" >"$lab_dir/answer" 2>"$lab_dir/curl.err"
}
log_in() { # USER TEXT [OPTION...]
	in_ns client ssh -F "$lab_dir/ssh_config" "${@:3}" "$1@server" cat <<<"$2" >"$lab_dir/answer.ssh" 2>"$lab_dir/ssh.err" &&
		[[ $(cat "$lab_dir/answer.ssh") == "$2" ]]
}
expected=$((2 * (6 + many) + 1))
for version in 1.2 1.3; do
	for i in 1 2 3; do
		# The second one resumes the first.
		get $version -H 'Connection: close' https://10.9.0.1/ https://10.9.0.1/ || fail "TLS $version: $(cat "$lab_dir/curl.err")"
	done
	# Many side by side.
	get $version -Z --parallel-immediate --parallel-max 20 -H 'Connection: close' "https://10.9.0.1/?[1-$many]" || fail "TLS $version: $(cat "$lab_dir/curl.err")"
done
get 1.3 'https://[fd09::1]/' || fail "TLS over IPv6: $(cat "$lab_dir/curl.err")"
log_in root one || fail "root: $(cat "$lab_dir/ssh.err")"
log_in jeeb two || fail "jeeb: $(cat "$lab_dir/ssh.err")"
log_in jeeb "$(head -c 200000 /dev/zero | tr '\0' x)" -o RekeyLimit=64K || fail "with rekeys: $(cat "$lab_dir/ssh.err")"
health stores || fail "not healthy: $(tail -n1 "$lab_dir/keytapd.log")"
taken() { kill -USR1 "$collector"; (($(counter records_stored_total) == $(counter records_taken_total) && $(counter records_taken_total) >= expected + 3)); }
wait_for 20 "the counters" taken
(($(counter records_missed_total) == 0)) ||
	fail "too late: $(grep -v '^#' "$lab_dir/keytapd.prom" | tr '\n' ' ')"
# Both say the same to Prometheus, and in one line.
asked() { # NAMESPACE PORT NAME
	in_ns "$1" curl -sf --max-time 5 "http://127.0.0.1:$2/metrics" | awk -v n="$3" '$1 == n { print $2 }'
}
scraped() {
	(($(asked server 9102 jeebs_keytapd_records_stored_total) == $(counter records_stored_total) && $(asked backup 9101 jeebs_keyvault_records_stored_total) >= $(counter records_stored_total)))
}
wait_for 10 "the pages" scraped
[[ $(in_ns server curl -sf http://127.0.0.1:9102/readyz) == "1 of 1 vaults connected, "* ]] || fail "the collector is not ready: $(in_ns server curl -s http://127.0.0.1:9102/readyz)"
[[ $(in_ns backup curl -sf http://127.0.0.1:9101/readyz) == "stores; "*" records of 1 servers" ]] || fail "the vault is not ready: $(in_ns backup curl -s http://127.0.0.1:9101/readyz)"
told_all() { (($(grep -c '"record"' "$lab_dir/records") == $(counter records_stored_total))); }
wait_for 5 "all of it in the vault" told_all
lab_capture_end
kill "$follower"
keytap_proof
keytap_told 443 ".handshakes == $expected and .recorded == $expected and .decrypted == $expected and .as_client == $expected and .resumed > 5 and .lead_ms >= 0"
keytap_told 22 '.handshakes > 6 and .recorded == .handshakes and .decrypted == .handshakes and .lead_ms >= 0'
proven=$(jq '[.["22", "443"].handshakes] | add' "$lab_dir/proof")
lead=$(jq '[.["22", "443"].lead_ms] | min' "$lab_dir/proof")
# Sessions whose processes are gone are over.
over() { kill -USR1 "$collector"; (($(counter sessions_ended_total) == 3)); }
wait_for 10 "the sessions of ssh to be over" over
collector_end TERM

# ---- open: whatever fails, nobody waits for it longer than the budget, and all are served ------------

# load NAME: handshakes, one after the other, until $lab_dir/stop is there; what the client logged of those that were served
# is in NAME.served, how many were not in NAME.failed.
load() {
	local mine=$lab_dir/$1
	export SSLKEYLOGFILE=$mine.one
	: >"$mine.served"
	: >"$mine.failed"
	until [[ -e $lab_dir/stop ]]; do
		rm -f "$mine.one"
		if in_ns client curl -sSk --max-time 5 https://10.9.0.1/ >"$mine.out" 2>>"$mine.err"; then
			cat "$mine.one" >>"$mine.served"
		else
			echo failed >>"$mine.failed"
		fi
	done
}
loads() { # NAME...
	local name
	rm -f "$lab_dir/stop"
	load_pids=()
	for name; do
		load "$name" &
		load_pids+=($!)
	done
}
loads_end() {
	touch "$lab_dir/stop"
	wait "${load_pids[@]}"
}
served() { cat "${@/#/$lab_dir/}" | grep -c "^CLIENT_HANDSHAKE" || true; }
more_served() { (($(served a.served b.served) >= $1)); } # since the load began
goes_on() { # WHAT: ten more handshakes
	wait_for 10 "handshakes: $1" more_served $(($(served a.served b.served) + 10))
}
vault_restart() {
	vault_kill
	goes_on "the vault was killed"
	vault_start
}
collector_start --vault "$vault_at"
loads a b
goes_on "all is well"
vault_restart
wait_for 10 "the vault again" health stores
kill -STOP "$vault"
goes_on "the vault is stopped"
wait_for 10 "nobody to wait for it" grep -q 'go on without waiting' "$lab_dir/keytapd.log"
log_in root stopped || fail "the vault is stopped: $(cat "$lab_dir/ssh.err")"
kill -CONT "$vault"
wait_for 10 "the vault to go on" health stores
ip -n "$(ns sw)" link set backup down
goes_on "the network is cut"
ip -n "$(ns sw)" link set backup up
collector_end KILL
goes_on "the collector was killed"
log_in jeeb killed || fail "the collector was killed: $(cat "$lab_dir/ssh.err")"
collector_start --vault "$vault_at"
goes_on "the next collector"
wait_for 15 "records to flow again" health stores
loads_end
open=$(served a.served b.served)
[[ ! -s $lab_dir/a.failed && ! -s $lab_dir/b.failed ]] || fail "open, and not served: $(tail -n1 "$lab_dir"/[ab].err)"
# That the vault answers again is seen, also when no handshake shows it.
loads c
kill -STOP "$vault"
wait_for 10 "the vault to be missed" health stores-not
loads_end
kill -CONT "$vault"
wait_for 20 "health while the server is quiet" health stores
collector_end TERM

# ---- closed: who is served has keys in the vault ----------------------------------------------------

collector_start --vault "$vault_at" --on-vault-loss closed --wait-ms 300
# Both workers have to have found it, and heard what holds now.
welcomed() {
	get 1.3 -Z --parallel-immediate -H 'Connection: close' 'https://10.9.0.1/?[1-8]'
	kill -USR1 "$collector"
	(($(counter peers) >= 2))
}
wait_for 10 "the servers to find the next collector" welcomed
loads a b
goes_on "closed"
kill -STOP "$vault"
! get 1.3 https://10.9.0.1/ || fail "closed, the vault is stopped: TLS was served"
! log_in root closed || fail "closed, the vault is stopped: ssh was served"
kill -CONT "$vault"
goes_on "the vault goes on"
vault_kill
! get 1.2 https://10.9.0.1/ || fail "closed, without a vault: TLS was served"
vault_start
goes_on "the next vault"
collector_end KILL
! get 1.3 https://10.9.0.1/ || fail "closed, without a collector: TLS was served"
collector_start --vault "$vault_at" --on-vault-loss closed --wait-ms 300
goes_on "the next collector, closed"
loads_end
closed=$(served a.served b.served)
(($(cat "$lab_dir"/[ab].failed | wc -l) > 0)) || fail "closed, and nobody was refused"
read_vault "$lab_dir/there"
python3 "$lab_root/bench/netns/keys-are-there.py" "$lab_dir/there" "$lab_dir"/[ab].served >"$lab_dir/lost"
[[ ! -s $lab_dir/lost ]] || fail "served, and not in the vault: $(wc -l <"$lab_dir/lost") secrets"
# Sessions of sshd that are over are known to be.
(($(jq -s '[.[].record | select(.protocol == "ssh" and .ended)] | length' "$lab_dir/there") >= $(jq '.["22"].handshakes' "$lab_dir/proof"))) ||
	fail "sessions of ssh are not known to be over"
(($(jq -s '[.[].record | select(.protocol == "tls" and .ended)] | length' "$lab_dir/there") == 0)) || fail "a session of TLS is said to be over"
"$keyvault" verify "$vault_dir" >/dev/null || fail "the audit log"
pass "$proven handshakes, each in the vault before the first protected byte (at least $lead ms); open: $open served, none failed; closed: $closed served, none without keys"
