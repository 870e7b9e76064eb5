#!/usr/bin/env bash
# Telnet: inetutils, netkit and busybox in both places, stock clients, the server killed in every phase of a login
# and in the shell. Who was not logged in goes on; who was gets a new shell on the backup, is told so, and every byte of
# a file comes through.
. "$(dirname "$0")/lib.sh"
need telnet plink busybox openssl jq telnetd in.telnetd
inetutils=$(program telnetd)
netkit=$(program in.telnetd)
lab_init
notice='notice: "[taken over: a new shell on the backup]"'
lab_services=()
for port in 23 2301 2302 2303 2304 2307; do
	lab_services+=("{port: $port, protocol: telnet, login: replay, $notice}")
done
lab_services+=("{port: 2305, protocol: telnet, $notice}" "{port: 2306, protocol: telnet, login: replay, replay: all, $notice}")
lab_prove=every
lab_up

for name in lab spare; do
	ln -s "$lab_root/bench/netns/telnet-login.sh" "$lab_dir/login-$name"
done
head -c 4096 /dev/urandom >"$lab_dir/blob"
printf '\377\377\r\n\r\0\r\377\360' >>"$lab_dir/blob"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$lab_dir/key.pem" -out "$lab_dir/cert.pem" -days 2 -subj /CN=lab 2>/dev/null
cat "$lab_dir/key.pem" "$lab_dir/cert.pem" >"$lab_dir/netkit.pem"

# For the real login(1), with PAM: accounts of our own, seen by the servers alone, and a home that names the host.
password=$(openssl passwd -6 s3cret)
for name in lab spare; do
	mkdir "$lab_dir/home-$name"
	printf '%s:x:%s::%s:/bin/sh\n' root 0:0 /root demo 61234:61234 "$lab_dir/home-$name" >"$lab_dir/passwd-$name"
	printf '%s:%s:20000::::::\n' root '*' demo "$password" >"$lab_dir/shadow-$name"
	printf "LAB_NAME=%s LAB_FILE=%s PS1='%s:\$PWD\$ '\ncd /tmp\n" "$name" "$lab_dir/blob" "$name" >"$lab_dir/home-$name/.profile"
done
with_accounts='mount --bind "$1/passwd-$2" /etc/passwd && mount --bind "$1/shadow-$2" /etc/shadow && mount -t tmpfs tmpfs /var/log &&
	{ [ ! -e /run/utmp ] || mount --bind /dev/null /run/utmp; } && shift 2 && exec "$@"'

# serve NAMESPACE PORT SERVER NAME: NAME is what its prompts say.
serve() {
	local login=$lab_dir/login-$4 argv
	case $3 in
	inetutils) argv=("$inetutils" -h -E "$login") ;;
	netkit) argv=("$netkit" -h -z nossl -z "cert=$lab_dir/netkit.pem" -z "key=$lab_dir/netkit.pem" -L "$login") ;;
	busybox) argv=("$(program busybox)" telnetd -i -f /dev/null -l "$login") ;;
	inetutils+PAM) argv=("$inetutils" -h) ;;
	busybox+PAM) argv=("$(program busybox)" telnetd -i -f /dev/null -l /bin/login) ;;
	esac
	# ip-netns-exec gives it a mount namespace of its own.
	in_ns_exec "$1" sh -c "$with_accounts" sh "$lab_dir" "$4" /usr/bin/python3 "$lab_root/bench/netns/telnet-server.py" "$2" "${argv[@]}" 2>>"$lab_dir/telnetd.log" &
	wait_for 5 "port $2 on $1" in_ns "$1" bash -c "exec 3<>/dev/tcp/127.0.0.1/$2"
}
# pair PORT SERVER BACKUP NAME
pair() {
	serve server "$1" "$2" lab
	serve backup "$1" "$3" "$4"
	kind[$1]="$2 $3"
}
declare -A kind
pair 23 inetutils inetutils lab
pair 2301 inetutils busybox spare
pair 2302 busybox netkit spare
pair 2303 netkit inetutils spare
pair 2304 busybox busybox lab
pair 2305 netkit netkit lab
pair 2306 busybox inetutils spare
pair 2307 inetutils+PAM busybox+PAM spare
appliance_start --debug

users=(
	same-head:telnet:23:head:lab same-login:plink:23:login:lab same-name:telnet:23:name:lab
	same-password:telnet:23:password:lab same-shell:binary:23:shell:lab
	ib-login:telnet:2301:login:spare ib-shell:telnet:2301:shell:spare ib-running:plink:2301:running:spare
	bn-name:plink:2302:name:spare bn-half:telnet:2302:half:spare bn-again:telnet:2302:again:spare
	ni-password:plink:2303:password:spare ni-shell:plink:2303:shell:spare ni-unanswered:telnet:2303:unanswered:spare
	bb-head:busybox:2304:head:lab bb-password:plink:2304:password:lab bb-shell:busybox:2304:shell:lab
	real-login:telnet:2307:login:spare real-password:plink:2307:password:spare real-shell:telnet:2307:shell:spare
	all-replayed:telnet:2306:replayed:spare
	early-login:telnet:2304:login:lab early-name:plink:2304:name:lab early-shell:telnet:2304:shell:lab
	no-login:telnet:2305:login:lab no-password:telnet:2305:password:lab no-shell:plink:2305:shell:lab
)
in_ns client /usr/bin/python3 "$lab_root/bench/netns/telnet-users.py" "$lab_dir" "$(sha256sum <"$lab_dir/blob" | cut_field)" \
	"${users[@]}" >"$lab_dir/users.json" 2>"$lab_dir/users.err" &
driver=$!
wait_for 25 "the users to be in their phases" test -e "$lab_dir/ready" -o ! -d "/proc/$driver"
[[ -e $lab_dir/ready ]] || fail "$(tail -n1 "$lab_dir/users.err")"
pull_cable server
touch "$lab_dir/pulled"
wait_for 10 "the takeover" taken_over
touch "$lab_dir/taken"
wait_for 40 "the users to be done" lab_ended "$driver"
[[ $(wc -l <"$lab_dir/users.json") == "${#users[@]}" ]] || fail "$(tail -n1 "$lab_dir/users.err")"

field() { jq -r --arg name "$1" 'select(.name == $name) | .'"$2" "$lab_dir/users.json"; }
for user in "${users[@]}"; do
	name=${user%%:*} expected=ok told=0
	case $name in
	no-password | no-shell) expected=gone ;;
	*-shell | *-running | *-half | *-unanswered | *-replayed | *-again) told=1 ;;
	same-* | bb-* | early-* | no-login) ;;
	*) told=1 ;; # another prompt
	esac
	[[ $(field "$name" fate) == "$expected" ]] || fail "$name: $(field "$name" fate): $(field "$name" tail)"
	[[ $(field "$name" told) == "$told" ]] || fail "$name was told $(field "$name" told) times"
done
[[ $(field ni-unanswered repeat) == true && $(field ni-shell repeat) == false ]] || fail "what was typed last is not told of"
reasons() { jq -r --arg s ":$1" 'select(.event == "connection-'"$2"'" and (.service | endswith($s))) | .reason' "$lab_dir/appliance.log" | sort | tr '\n' ' '; }
[[ $(reasons 2305 refused) == "login login " ]] || fail "refused on 2305: $(reasons 2305 refused)"
[[ $(reasons 2304 continued) == *"new-session new-session " ]] || fail "on 2304: $(reasons 2304 continued)"
event connection-aborted && fail "aborted: $(event_field connection-aborted reason)"
# What the plan says of each phase; the early ones typed while nobody listened, and may be further.
declare -A manner=([head]=greeting [login]=greeting [name]=login [password]=login [half]=login [again]=login-again
	[shell]=new-session [running]=new-session [unanswered]=new-session [replayed]=new-session)
declare -A name_of=([head]=login [login]=login [name]=login [password]=login [half]=login [again]=login
	[shell]=idle [running]=body [unanswered]=head [replayed]=head)
for port in 23 2301 2302 2303 2306 2307; do
	expected=$(for user in "${users[@]}"; do
		IFS=: read -r _ _ at phase _ <<<"$user"
		[[ $at != "$port" ]] || echo "${manner[$phase]}"
	done | sort | tr '\n' ' ')
	[[ $(reasons "$port" continued) == "$expected" ]] || fail "on $port: $(reasons "$port" continued), not $expected"
done
for user in "${users[@]}"; do
	IFS=: read -r name client port phase _ <<<"$user"
	read -r old new <<<"${kind[$port]}"
	case $name in
	early-*) ;;
	no-password | no-shell) in_matrix telnet "$old" "$new" "$client" "${name_of[$phase]}" "refused login" ;;
	*) in_matrix telnet "$old" "$new" "$client" "${name_of[$phase]}" "continued ${manner[$phase]}" ;;
	esac
done
pass "${#users[@]} users of $(cut -d: -f2 <(printf '%s\n' "${users[@]}") | sort -u | wc -l) clients"
