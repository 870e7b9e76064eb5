#!/usr/bin/env bash
# Connections go on in a program of the box: a server with a memory, in every phase of a conversation. Those of programs
# that are not there, refuse, hang or know too little are reset, each for its reason, and hold up nobody else's.
. "$(dirname "$0")/lib.sh"
tally=$JEEBS_BUILD/recovery-modules/adopt/tally
lab_init
need socat nc jq nft python3
[[ -x $tally ]] || fail "no $tally"

# What was captured is killed as well: of a program no oracle knows, but each cut's logs and numbers are compared.
lab_prove=every:20
lab_prove_cuts() {
	local out=$lab_dir/every status=0
	"$JEEBS_BUILD/appliance/jeebs-appliance" --dry-run "$lab_dir/box.pcap" -c "$lab_dir/appliance.yaml" \
		--fail-at "$lab_prove" -o json >"$out.json" 2>"$out.txt" || status=$?
	((status <= 1 || status == 65)) || fail "every cut: exit status $status: $(tail -n1 "$out.txt")"
	[[ $(jq '.wrong == 0 and .refused["resume: no-oracle"] > 20' "$out.json") == true ]] ||
		fail "every cut: $(jq -c 'del(.capture)' "$out.json")"
	printf '%s\t%s\n' "$(lab_protocols)" "$(jq -r '[.cuts, .exact, .cuts - .exact - .wrong, .wrong] | @tsv' "$out.json")" \
		>>"${JEEBS_LAB_DRILLS:-/dev/null}"
	lab_proved="; $(jq .cuts "$out.json") cuts, 0 wrong"
}

mkdir "$lab_dir/adopt"
lab_services=(
	"{port: 7001, protocol: adopt, adopt: $lab_dir/adopt/good, retain: 16MiB}"
	"{port: 7002, protocol: adopt, adopt: $lab_dir/adopt/nobody}"
	"{port: 7003, protocol: adopt, adopt: $lab_dir/adopt/refuses}"
	"{port: 7004, protocol: adopt, adopt: $lab_dir/adopt/hangs}"
	"{port: 7005, protocol: adopt, adopt: $lab_dir/adopt/good, retain: 1KiB}"
)
lab_up
in_ns client sysctl -qw net.ipv4.tcp_rmem='4096 131072 400000' # long answers are not swallowed whole
for port in 7001 7002 7003 7004 7005; do
	in_ns_exec server "$tally" --listen $port &
	in_ns_exec backup "$tally" --listen $port &
done
in_ns_exec box "$tally" --adopt "$lab_dir/adopt/good" &
adopting=$!
in_ns_exec box "$tally" --refuse "$lab_dir/adopt/refuses" &
in_ns_exec box "$tally" --hang "$lab_dir/adopt/hangs" &
wait_for 5 "the programs" test -S "$lab_dir/adopt/good" -a -S "$lab_dir/adopt/refuses" -a -S "$lab_dir/adopt/hangs"
appliance_start --debug

# ---- clients: what they say goes into a pipe, what they hear into a file -------------------------

declare -A say_to from_of
next_port=50001
heard() { cat "$lab_dir/$1.out" 2>/dev/null; }
# Reads so much, and goes on after the takeover.
slowly() { dd bs=4k count=100000 iflag=count_bytes status=none; wait_until 20 test -e "$lab_dir/after"; cat; }
# Reads so little at a time that it is not through by then.
little() { until [[ -e $lab_dir/after ]]; do dd bs=4k count=1 status=none; sleep 0.02; done; cat; }

# Says on standard error how a connection ended, which the others do not.
cat >"$lab_dir/client.py" <<'END'
import os, select, socket, sys
s = socket.create_connection(("10.9.0.1", int(sys.argv[1])))
said = True
while True:
    ready = select.select([s] + [0] * said, [], [])[0]
    if 0 in ready:
        data = os.read(0, 4096)
        s.sendall(data) if data else s.shutdown(socket.SHUT_WR)
        said = bool(data)
    if s in ready:
        data = s.recv(65536)
        if not data:
            sys.exit("end of file")
        os.write(1, data)
END

talk() { # ID PORT PROGRAM
	local id=$1 port=$2 base=$lab_dir/$1 fd from=$((next_port++))
	from_of[$id]=$from
	mkfifo "$base.in"
	: >"$base.said"
	(
		set +e
		for fd in "${say_to[@]}"; do exec {fd}>&-; done
		case $3 in
		nc) in_ns client nc -N -p "$from" 10.9.0.1 "$port" ;;
		python) in_ns client python3 "$lab_dir/client.py" "$port" ;;
		socat) in_ns client socat -t 30 - "TCP6:[fd09::1]:$port,sourceport=$from" ;;
		esac <"$base.in" 2>"$base.err" | case $id in body-*) slowly ;; last-*) little ;; *) cat ;; esac >"$base.out"
		echo "${PIPESTATUS[0]}" >"$base.exit"
	) &
	exec {fd}>"$base.in"
	say_to[$id]=$fd
}
say() { # ID TEXT
	printf "$2" >>"$lab_dir/$1.said"
	printf "$2" >&"${say_to[$1]}"
}
end_of() { exec {say_to[$1]}>&-; }
has_heard() { (($(heard "$1" | wc -l) >= $2)); }
ended() { [[ -s $lab_dir/$1.exit ]]; }
was_reset() { grep -q 'reset by peer' "$lab_dir/$1.err"; }

good=()
for program in nc socat; do
	for phase in idle head body last flight; do good+=("$phase-$program"); done
done
bad=(nobody refuses hangs forgets dies)
for id in "${good[@]}"; do talk "$id" 7001 "${id#*-}"; done
port=7002
for id in nobody refuses hangs forgets; do talk "$id" $((port++)) python; done
talk dies 7001 python
for id in "${good[@]}" "${bad[@]}"; do say "$id" "I am $id\nand so on\n"; done
for id in "${good[@]}" "${bad[@]}"; do wait_for 5 "answers to $id" has_heard "$id" 2; done

long=$(printf 'x%.0s' {1..900})
for i in 1 2 3; do say forgets "$long\n"; done
wait_for 5 "answers to forgets" has_heard forgets 5
for program in nc socat; do
	say "head-$program" 'half of a li'
	say "body-$program" 'dump 100000\n'
	say "last-$program" 'dump 100000\n'
	end_of "last-$program" # it has said all it wants to say
	for phase in body last; do wait_for 5 "half an answer" has_heard "$phase-$program" 3000; done
done
# In flight: the server has answered, and the client hears nothing of it until it is dead.
in_ns client nft -f - <<'END'
table inet lab {
	set deaf { type inet_service; }
	chain in { type filter hook prerouting priority -300; tcp dport @deaf drop; }
}
END
flying() { in_ns server ss -Htin "dport = :${from_of[$1]}" | grep -q 'unacked:'; }
for program in nc socat; do
	in_ns client nft "add element inet lab deaf { ${from_of[flight-$program]} }"
	say "flight-$program" 'unheard\n'
	wait_for 5 "an answer in flight" flying "flight-$program"
done
# The half lines have been read.
said=$(($(cat "$lab_dir"/*.said | wc -c) + 2)) # and two ends
all_read() {
	(($(in_ns server ss -Htin 'sport >= :7001 and sport <= :7005' | grep -o 'bytes_received:[0-9]*' |
		awk -F: '{ n += $2 } END { print n + 0 }') == said))
}
wait_for 5 "the server to have read it" all_read
half_closed() { in_ns server ss -Htn state close-wait 'sport = :7001' | wc -l | grep -qx 2; }
wait_for 5 "the ends of those who are through" half_closed
total=$("$tally" --offline <"$lab_dir/body-nc.said" | wc -c)
(($(in_ns server ss -Htin 'sport = :7001' | grep -o 'bytes_acked:[0-9]*' | cut -d: -f2 | sort -n | tail -n1) < total)) ||
	fail "the whole answer was sent before the cut"

# ---- the server dies ------------------------------------------------------------------------------

pull_cable server
in_ns client nft flush set inet lab deaf
wait_for 10 "the takeover" taken_over
touch "$lab_dir/after"
for program in nc socat; do
	say "idle-$program" 'still there\n'
	say "head-$program" 'ne\nand a whole one\n'
	say "flight-$program" 'and on\n'
	say "body-$program" 'enough\n'
done
for id in "${good[@]}"; do
	[[ $id == last-* ]] || end_of "$id"
	wait_for 10 "$id to end" ended "$id"
	[[ $(cat "$lab_dir/$id.exit") == 0 ]] || fail "$id: $(cat "$lab_dir/$id.err")"
	"$tally" --offline <"$lab_dir/$id.said" | cmp - "$lab_dir/$id.out" || fail "$id: other bytes"
	phase=${id%-*}
	in_matrix adopt tally "tally (jeebs-adopt)" "${id#*-}" "${phase/last/body}" "continued integrated"
done

reset_for() { # ID REASON [DETAIL]
	wait_for 8 "$1 to be reset" was_reset "$1"
	wait_for 2 "the log to say $2" event connection-aborted "\"reason\":\"$2\"${3:+,\"detail\":\"$3\"}"
	cmp -s <("$tally" --offline <"$lab_dir/$1.said") "$lab_dir/$1.out" || fail "$1: other bytes"
	in_matrix adopt tally "$4" python idle "refused $2"
}
reset_for nobody adopt-unavailable "No such file or directory" "nobody"
reset_for refuses adopt-refused not-today "tally that refuses"
reset_for forgets adopt-refused history-incomplete "tally, history not retained"
reset_for hangs adopt-timeout "" "tally that hangs"
joined() { [[ $(jeebsctl -o json status | jq .data.joined) == "$1" ]]; }
wait_for 5 "the account of who was adopted" joined 1
ended dies && fail "the last one has ended"
kill -KILL "$adopting"
reset_for dies adopter-died "" "tally that dies later"
wait_for 5 "the account of who has gone" joined 0

pass "${#good[@]} connections went on in a program, ${#bad[@]} were reset for their reasons; taken over in $(takeover_ms) ms"
