# For scenarios that need a TCP connection in a certain state at the cut. Sourced after lib.sh.
#
# A client of tcp-client.py has its own local port, so that packets of one connection alone can be
# kept from arriving: `deaf PORT` (the client receives nothing), `mute PORT` (what it sends reaches
# nobody), `server_deaf PORT` (what it sends reaches the box, but not the server).

states_backup=nginx # or "held": the same server as the old one
states_dir=$(dirname "${BASH_SOURCE[0]}")

# states_start: the server that can be held, a stock backup, the appliance. Options: as of the appliance.
states_start() {
	need python3 nft ss
	mkdir -p "$lab_dir/marks"
	states_server server
	if [[ $states_backup == nginx ]]; then start_nginx backup; else states_server backup; fi
	states_rules
	appliance_start --debug "$@"
}

# states_server NAME [ADDRESS [mptcp]]: on port 80 of that namespace, of that address or of all.
states_server() {
	local at=${2:-127.0.0.1}
	[[ $at != *:* ]] || at="[$at]"
	in_ns_exec "$1" python3 "$states_dir/tcp-server.py" "$lab_dir/www" "$lab_dir/marks" "${@:2}" 2>>"$lab_dir/tcp-server.err" &
	wait_for 5 "the server that can be held" in_ns "$1" curl -sf -o /dev/null "http://$at/1k.bin"
}

states_rules() {
	in_ns client nft -f - <<'END'
table inet states {
	set deaf { type inet_service; }
	set mute { type inet_service; }
	chain in { type filter hook prerouting priority -300; tcp sport 80 tcp dport @deaf drop; }
	chain out { type filter hook output priority -300; tcp dport 80 tcp sport @mute drop; }
}
END
	in_ns server nft -f - <<'END'
table inet states {
	set deaf { type inet_service; }
	chain in { type filter hook prerouting priority -300; tcp dport 80 tcp sport @deaf drop; }
}
END
}

deaf() { in_ns client nft "add element inet states deaf { $1 }"; }
mute() { in_ns client nft "add element inet states mute { $1 }"; }
hears() { in_ns client nft "delete element inet states deaf { $1 }"; }
speaks() { in_ns client nft "delete element inet states mute { $1 }"; }
server_deaf() { in_ns server nft "add element inet states deaf { $1 }"; }

# talk ID PORT STEP...: a client of that local port; see tcp-client.py. Judged like `get`.
talk_host=${talk_host:-10.9.0.1}
talk() {
	local id=$1 port=$2
	shift 2
	get_with "$id" python3 "$states_dir/tcp-client.py" "$talk_host" 80 "$lab_dir/marks" "port:$port" "$@"
}

mark() { : >"$lab_dir/marks/$1"; }
marked() { [[ -e $lab_dir/marks/$1 ]]; }
wait_mark() { wait_for 10 "'$1'" marked "$1"; }

# server_state STATE PORT: is the server's end of that connection in this state (as ss names it)?
server_state() { [[ $(in_ns server ss -Htan "sport = :80 and dport = :$2" | cut_field) == "$1" ]]; }
client_state() { [[ $(in_ns client ss -Htan "dport = :80 and sport = :$2" | cut_field) == "$1" ]]; }
wait_state() { wait_for 5 "state $1 of the server's end" server_state "$1" "$2"; }

# What ss knows more of an end: unread and unsent bytes, timers, windows. end_info NAMESPACE dport|sport PORT
end_info() { in_ns "$1" ss -Htinoe state connected "$2 = :80 and $([[ $2 == sport ]] && echo dport || echo sport) = :$3" | tr '\n' ' '; }

# What the appliance said of the connection of that client port: continued or refused, and why.
fate() {
	grep -E '"event":"connection-(continued|refused)"' "$lab_dir/appliance.log" | grep -F ":$1\"" | tail -n1 |
		sed -nE 's/.*"event":"connection-([a-z]+)".*"reason":"([^"]*)".*/\1 \2/p'
}

# ended_after ID: milliseconds from the cut to the end of that client.
ended_after() { echo "$(($(date -r "$lab_dir/get/$1.exit" +%s%3N) - $(date -d "@$(cat "$lab_dir/cut")" +%s%3N)))"; }

# expect_fate PORT "continued REASON"
expect_fate() {
	wait_until 5 fate_is "$1" "$2" || fail "port $1: '$(fate "$1")', not '$2'"
}
fate_is() { [[ $(fate "$1") == "$2" ]]; }
