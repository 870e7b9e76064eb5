#!/usr/bin/env bash
# The unmodified ssh client and stock sshd on both servers: an interactive shell outlives the server. It gets a new shell of the backup,
# where what was typed in the meantime arrives, and its end has status 0; a command that may be run again is, and every byte of it is
# there once. With keys that are opened as they come (port 22) and at the takeover (2222), with chacha20-poly1305 and with aes-gcm; keys are
# renewed afterwards. A command that may not be run again is refused by its name.
. "$(dirname "$0")/lib.sh"
lab_init
for it in keytap keyvault; do . "$(dirname "$0")/$it.sh"; done
need sshd ssh ssh-keygen openssl jq

# The backup's own sshd: it has the server's host key, and believes the CA.
backup_sshd() { # PORT
	local dir=$lab_dir/sshd
	sed "s/^ListenAddress .*/ListenAddress 10.9.0.2/; s|^AuthorizedKeysFile .*|AuthorizedKeysFile none\nTrustedUserCAKeys $lab_dir/ca.pub|" "$dir/conf" >"$dir/backup-conf"
	in_ns_exec backup unshare -m "$(program sh)" -c "mount -t tmpfs run /run && mkdir /run/sshd && exec $(program sshd) -D -e -f $dir/backup-conf -p $1" \
		>"$lab_dir/backup-sshd.$1" 2>&1 </dev/null &
	wait_for 10 "the backup's sshd" backup_listens "$1"
}
backup_listens() { in_ns backup ss -Htln "sport = :$1" | grep -q .; }

# shell NAME PORT OPTION...: what it is told goes to $lab_dir/NAME.in, what it says to NAME.out.
declare -A session=() told=()
shell() {
	mkfifo "$lab_dir/$1.in"
	in_ns_exec client ssh -F "$lab_dir/ssh_config" -tt -p "$2" "${@:3}" root@server <"$lab_dir/$1.in" >"$lab_dir/$1.out" 2>"$lab_dir/$1.err" &
	session[$1]=$!
	exec {it}>"$lab_dir/$1.in"
	told[$1]=$it
}
type_in() { printf '%s\n' "$2" >&"${told[$1]}"; }
says() { grep -q "$2" "$lab_dir/$1.out"; }
# runs NAME PORT OPTION... COMMAND: what it says is not read to its end before the server is dead.
runs() {
	mkfifo "$lab_dir/$1.pipe"
	in_ns_exec client ssh -F "$lab_dir/ssh_config" -p "$2" "${@:3:$#-3}" root@server "${!#}" </dev/null >"$lab_dir/$1.pipe" 2>"$lab_dir/$1.err" &
	session[$1]=$!
	{
		head -c 1500000
		wait_for 60 "the death of the server" test -e "$lab_dir/cut.off"
		cat
	} <"$lab_dir/$1.pipe" >"$lab_dir/$1.out" &
	reader[$1]=$!
}
declare -A reader=()
ended() { # NAME STATUS
	local status=0
	wait_for 30 "session $1 to end" lab_ended "${session[$1]}"
	wait "${session[$1]}" || status=$?
	[[ $status == "$2" ]] || fail "session $1: status $status, not $2: $(tail -n1 "$lab_dir/$1.err")"
}

lab_up
keytap_up
tapped_sshd 22
tapped_sshd 2222
tapped_listen
keytap_ssh_config
ssh-keygen -q -t ed25519 -N '' -f "$lab_dir/ca"
backup_sshd 22
backup_sshd 2222
keyvault_up web1 10.9.0.1
vault_start --listen "$vault_at"
collector_start --vault "$vault_at" --wait-ms 2000
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
ssh="ssh: {user_ca: $lab_dir/ca, host_keys: [$lab_dir/sshd/host], exec_restart: [\"seq *\"]}"
lab_services=("{port: 22, protocol: ssh, keys: live, notice: taken-over, $ssh}" "{port: 2222, protocol: ssh, keys: sealed, retain: 64MiB, $ssh}")
box_keys
appliance_start --debug
wait_for 5 "the vault to be known" box_status "vault $vault_at: up"

for port in 22 2222; do
	for cipher in chacha20-poly1305@openssh.com aes128-gcm@openssh.com; do
		name=$port-${cipher%%-*}
		shell "shell-$name" $port -c $cipher
		runs "seq-$name" $port -c $cipher 'seq 1 1000000'
	done
done
runs cannot 22 'yes not-again'
for name in "${!told[@]}"; do
	type_in "$name" 'echo before-$((40 + 2))'
	wait_for 10 "$name" says "$name" before-42
done
for name in "${!reader[@]}"; do
	wait_for 20 "$name" test -s "$lab_dir/$name.out"
done
box_have_keys() { jeebsctl status >"$lab_dir/status"; [[ $(grep -cE "^keys: web1:(22|2222): ([1-9][0-9]*) of \2 sessions have keys$" "$lab_dir/status") == 2 ]]; }
wait_for 10 "the keys of all" box_have_keys
pull_cable server
for name in "${!told[@]}"; do
	type_in "$name" 'echo after-$((1 + 1))'
done
wait_for 20 "the takeover" taken_over
for name in "${!told[@]}"; do
	wait_for 20 "what was typed in the meantime in $name" says "$name" after-2
	type_in "$name" '~R' # new keys
	type_in "$name" 'seq 1 20000; echo then-$((2 + 2)); exit 0'
	ended "$name" 0
	says "$name" then-4 || fail "$name: not all was said"
done
seq 1 1000000 >"$lab_dir/seq"
for name in "${!reader[@]}"; do
	[[ $name != cannot ]] || continue
	ended "$name" 0
	wait "${reader[$name]}"
	cmp "$lab_dir/seq" "$lab_dir/$name.out" || fail "$name: other bytes"
done
ended cannot 255
says shell-22-chacha20 taken-over || fail "nobody was told"
all_settled
((account_continued == 8 && account_refused == 1)) || fail "$account_continued continued, $account_refused refused"
[[ $(event_field connection-refused reason) == ssh-exec-not-restartable ]] || fail "refused: $(event_field connection-refused reason)"
pass "4 shells and 4 commands of stock clients go on"
