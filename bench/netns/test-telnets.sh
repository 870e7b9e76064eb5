#!/usr/bin/env bash
# Telnet in TLS: inetutils' telnetd behind stunnel, clients through socat; the server is killed while somebody logs in, and
# while others are in a shell.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
need telnet plink stunnel4 socat jq telnetd python3
lab_up
https_up
for name in lab spare; do ln -s "$lab_root/bench/netns/telnet-login.sh" "$lab_dir/login-$name"; done
head -c 4096 /dev/urandom >"$lab_dir/blob"

serve() { # NAMESPACE NAME CERTIFICATE COMMAND...
	in_ns_exec "$1" /usr/bin/python3 "$lab_root/bench/netns/telnet-server.py" 23 "$(program telnetd)" -h -E "$lab_dir/login-$2" 2>>"$lab_dir/telnetd.log" &
	printf '%s\n' 'foreground = yes' 'pid =' '[telnets]' 'accept = 0.0.0.0:992' 'connect = 127.0.0.1:23' "cert = $3.pem" >"$lab_dir/stunnel-$1"
	in_ns_exec "$1" "${@:4}" "$(program stunnel4)" "$lab_dir/stunnel-$1" 2>"$lab_dir/stunnel-$1.err" &
	wait_for 10 "stunnel on $1" in_ns "$1" bash -c 'exec 3<>/dev/tcp/127.0.0.1/992'
}
serve server lab "$lab_dir/tls" "${tapped[@]}"
serve backup spare "$lab_dir/backup" env
https_service 992 telnets 'login: replay, notice: "[taken over: a new shell on the backup]"'
https_start
in_ns_exec client socat TCP-LISTEN:992,fork,reuseaddr,bind=127.0.0.1 "OPENSSL:10.9.0.1:992,cafile=$lab_dir/both.crt,commonname=web.lab" 2>"$lab_dir/socat.err" &
wait_for 5 "socat" in_ns client bash -c 'exec 3<>/dev/tcp/127.0.0.1/992'

users=(login:telnet:992:login:spare name:plink:992:name:spare password:telnet:992:password:spare shell:telnet:992:shell:spare
	running:plink:992:running:spare unanswered:telnet:992:unanswered:spare)
in_ns client env LAB_HOST=127.0.0.1 /usr/bin/python3 "$lab_root/bench/netns/telnet-users.py" "$lab_dir" "$(sha256sum <"$lab_dir/blob" | cut_field)" \
	"${users[@]}" >"$lab_dir/users.json" 2>"$lab_dir/users.err" &
driver=$!
wait_for 25 "the users to be in their phases" test -e "$lab_dir/ready" -o ! -d "/proc/$driver"
[[ -e $lab_dir/ready ]] || fail "$(tail -n1 "$lab_dir/users.err")"
https_have_keys 992
pull_cable server
touch "$lab_dir/pulled"
wait_for 10 "the takeover" taken_over
touch "$lab_dir/taken"
wait_for 40 "the users to be done" lab_ended "$driver"
for user in "${users[@]}"; do
	name=${user%%:*}
	[[ $(jq -r --arg n "$name" 'select(.name == $n) | "\(.fate) \(.told)"' "$lab_dir/users.json") == "ok 1" ]] ||
		fail "$name: $(jq -c --arg n "$name" 'select(.name == $n)' "$lab_dir/users.json") $(tail -n1 "$lab_dir/users.err")"
done
declare -A manner=([login]=greeting [name]=login [password]=login [shell]=new-session [running]=new-session [unanswered]=new-session)
declare -A phase_of=([login]=login [name]=login [password]=login [shell]=idle [running]=body [unanswered]=head)
reasons=$(jq -r 'select(.event == "connection-continued") | .reason' "$lab_dir/appliance.log" | sort | paste -sd' ')
[[ $reasons == "$(printf '%s\n' "${manner[@]}" | sort | paste -sd' ')" ]] || fail "continued: $reasons"
event connection-aborted && fail "aborted: $(event_field connection-aborted reason)"
for user in "${users[@]}"; do
	IFS=: read -r name client _ <<<"$user"
	in_matrix telnets "inetutils behind stunnel" "inetutils behind stunnel" "$client, socat" "${phase_of[$name]}" "continued ${manner[$name]}"
done
pass "${#users[@]} users in TLS"
