#!/usr/bin/env bash
# Collector and vault are killed, the network between them is cut, the vault's disk is full, at random instants under a load of
# handshakes; JEEBS_KILLS times (bench/keyvault-kills: 200). None hangs; open: all are served; closed: what was served, whose tap
# was told "stored", is fetched from the vault afterwards and opens; and all that is there opens.
[[ ${JEEBS_APART:-} ]] || JEEBS_APART=1 exec unshare -m "$0" "$@" # the vault's disk is mounted
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
need python3 openssl nginx ss jq
kills=${JEEBS_KILLS:-4}
lab_record() { :; }
lab_up
keytap_up
disk=/mnt # for this script alone
mount -t tmpfs -o size=48m disk "$disk"
vault_dir=$disk/vault
keyvault_up web1 10.9.0.1
vault_start
tapped_nginx 443
tapped_listen

# Both workers have heard what holds now.
welcomed() {
	in_ns client curl -sk --max-time 5 -o /dev/null -Z --parallel-immediate -H 'Connection: close' 'https://10.9.0.1/?[1-8]' 2>/dev/null || true
	kill -USR1 "$collector"
	(($(counter peers) >= 2))
}
load_start() {
	mkdir -p "$lab_dir/$1"
	in_ns_exec client python3 "$lab_root/bench/netns/handshakes.py" 10.9.0.1 443 6 "$lab_dir/$1" >"$lab_dir/$1/result" 2>"$lab_dir/$1/err" &
	load=$!
	loaded=$1
}
served() { cat "$lab_dir/$loaded/count" 2>/dev/null || echo 0; }
goes_on() { # WHAT: some more handshakes
	wait_for 30 "handshakes, $loaded: $1" more_served $(($(served) + 3))
}
more_served() { (($(served) >= $1)); }
some_time() { sleep "0.$(printf '%03d' $((RANDOM % ${1:-200})))"; }
cable() { ip -n "$(ns sw)" link set backup "$1"; }

# Each leaves things as they were.
kill_collector() {
	collector_end KILL
	some_time 50
	collector_begin "${collector_options[@]}"
}
kill_vault() {
	vault_kill
	some_time
	vault_start
}
kill_network() {
	cable down
	some_time 400
	cable up
}
kill_disk() {
	dd if=/dev/zero of="$disk/full" bs=64k 2>/dev/null || true
	some_time 400
	rm "$disk/full"
}
causes=(collector vault network disk)

# round MODE N OPTION...
round() {
	local i cause
	collector_options=(--vault "$vault_at" --on-vault-loss "$1" "${@:3}")
	collector_start "${collector_options[@]}"
	wait_for 10 "the servers to find the collector" welcomed
	load_start "$1"
	goes_on "at first"
	for ((i = 0; i < $2; i++)); do
		# Each kind comes to its turn, in another order each time.
		((done % ${#causes[@]})) || mapfile -t causes < <(shuf -e "${causes[@]}")
		cause=${causes[done++ % ${#causes[@]}]}
		some_time
		"kill_$cause"
		goes_on "the $cause failed ($i)"
		tally[$cause]=$((${tally[$cause]:-0} + 1))
	done
	# One that is stored in time again says so.
	wait_for 30 "records to flow again" health stores
	kill "$load"
	wait "$load" || fail "$1: $(tail -n1 "$lab_dir/$1/err")"
	collector_end TERM
	(($(jq .hung "$lab_dir/$1/result") == 0)) || fail "$1: handshakes hung: $(cat "$lab_dir/$1/result")"
}
declare -A tally=()
done=0
round closed $(((kills + 1) / 2)) --wait-ms 300
round open $((kills / 2))
(($(jq .failed "$lab_dir/open/result") == 0)) || fail "open, and not served: $(cat "$lab_dir/open/result")"
read_vault "$lab_dir/there"
python3 "$lab_root/bench/netns/keys-are-there.py" "$lab_dir/there" "$lab_dir/closed/served" >"$lab_dir/lost"
[[ ! -s $lab_dir/lost ]] || fail "served, and not in the vault: $(wc -l <"$lab_dir/lost") secrets"
"$keyvault" verify "$vault_dir" >/dev/null || fail "the audit log"
pass "$kills failures (${tally[collector]:-0} collector, ${tally[vault]:-0} vault, ${tally[network]:-0} network, ${tally[disk]:-0} disk full):" \
	"closed: $(jq .served "$lab_dir/closed/result") served, each fetched and opened, $(jq .failed "$lab_dir/closed/result") refused;" \
	"open: $(jq .served "$lab_dir/open/result") served, none failed; longest $(jq -c .longest_ms "$lab_dir/closed/result") and $(jq -c .longest_ms "$lab_dir/open/result") ms"
