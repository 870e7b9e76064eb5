#!/usr/bin/env bash
# Deterministic services: redis and memcached, each with stock clients, the server killed in every phase. What the
# clients got is compared with what the backup, which never failed, says to the same.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
need redis-server redis-cli memcached memccat memccp
lab_init
lab_services=('{port: 6379, protocol: replay}' '{port: 6380, protocol: replay}' '{port: 11211, protocol: replay}'
	'{port: 11212, protocol: replay, retain: 64KiB}' '{port: 11213, protocol: replay, replay: none}')
lab_prove=every:40
lab_up
mkdir "$lab_dir/marks"

# In both namespaces the same content; on 6380 another service than on the old server.
start_services() {
	local name=$1 other=$2
	mkdir "$lab_dir/redis-$name"
	in_ns_exec "$name" redis-server --bind '* -::*' --protected-mode no --save '' --dir "$lab_dir/redis-$name" \
		--loglevel warning >"$lab_dir/redis-$name.log" 2>&1 &
	redis=$!
	in_ns_exec "$name" memcached -u root -p 11211 -I 16m -m 128 &
	memcached=$!
	in_ns_exec "$name" memcached -u root -p 11212 &
	in_ns_exec "$name" memcached -u root -p 11213 &
	if [[ $other == redis ]]; then
		in_ns_exec "$name" redis-server --port 6380 --bind '* -::*' --protected-mode no --save '' --dir "$lab_dir/redis-$name" \
			--loglevel warning >>"$lab_dir/redis-$name.log" 2>&1 &
	else
		in_ns_exec "$name" memcached -u root -p 6380 &
	fi
	wait_for 5 "redis on $name" in_ns "$name" redis-cli ping
	local port
	for port in 6380 11211 11212 11213; do
		wait_for 5 "port $port on $name" in_ns "$name" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
	done
	head -c 250000 /dev/zero | tr '\0' 'v' | in_ns "$name" redis-cli -x set big >/dev/null
	printf '%s\n' 'set k hello' 'select 3' 'set k three' 'select 0' 'rpush l a b c d e' | in_ns "$name" redis-cli >/dev/null
	head -c 1000000 /dev/zero | tr '\0' 'm' >"$lab_dir/bigitem"
	in_ns "$name" memccp --servers=127.0.0.1 "$lab_dir/bigitem"
}
start_services server redis
redis_server=$redis memcached_server=$memcached
start_services backup memcached
in_ns server redis-cli set differs old-value >/dev/null
in_ns backup redis-cli set differs new-value >/dev/null
appliance_start --debug

# client ID CLIENT PORT STEP...: from port 40000 + number of the client.
client_no=0
client() {
	client_no=$((client_no + 1))
	get_with "$1" env "FROM=$((20000 + client_no))" /usr/bin/python3 "$lab_root/bench/netns/replay-client.py" "$2" "$3" "$lab_dir/marks" "${@:4}"
	printf -v "port_$1" %s $((20000 + client_no))
}
# What the same steps get from the backup. A client's name is not compared: it is a state of the connection.
reference() {
	in_ns backup env FROM=0 HOST=127.0.0.1 /usr/bin/python3 "$lab_root/bench/netns/replay-client.py" "$1" "$2" "$lab_dir/marks" "${@:3}" | sha256sum | cut_field
}

# redis: the state of a connection (its database, its name) is built up again by saying it again.
idle=(SELECT:3 CLIENT:SETNAME:me GET:k mark:idle await:after GET:k CLIENT:GETNAME GET:none)
client idle redis 6379 "${idle[@]}"
held=(GET:k mark:held await:stopped mark:asked LRANGE:l:0:-1 GET:k)
client held redis 6379 "${held[@]}"
big='*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n'
body=(say:PING'\r\n' hear:7 "say:$big$big$big$big" slow:1000044:500000 say:PING'\r\n' hear:7)
client silent plain 6379 mark:silent await:after say:PING'\r\n' hear:7
client differs redis 6379 GET:k GET:differs mark:differs await:after GET:k
client other redis 6380 PING mark:other await:after PING
# memcached.
mc=(set:a:1 get:a mark:mc await:after get:a incr:n:1 delete:a get:a)
client mc memcache 11211 "${mc[@]}"
mcbody=(say:'get bigitem\r\nversion\r\n' slow:1000048:500000 say:'get bigitem\r\n' hear:1000032)
mclate=(set:b:1 mark:mclate await:stopped mark:mcasked get:b set:b:2 get:b)
client mclate memcache 11211 "${mclate[@]}"
long=$(printf 'x%.0s' {1..2000})
client ceiling plain 11212 "say:$(for _ in {1..40}; do printf 'set c 0 0 2000\\r\\n%s\\r\\n' "$long"; done)" hear:320 mark:ceiling await:after say:'version\r\n' hear:1
client none plain 11213 say:'version\r\n' hear:16 mark:none await:after say:'version\r\n' hear:16
client noneidle plain 11213 mark:noneidle await:after say:'version\r\n' hear:16

for m in idle held silent differs other mc mclate ceiling none noneidle; do wait_mark $m; done
# In the middle of answers. Every command of redis-cli is answered before the next is sent.
client body plain 6379 "${body[@]}"
client mcbody plain 11211 "${mcbody[@]}"
get_rate=1500000 get_with cli redis-cli -h 10.9.0.1 -r 12 get big
get_with paced redis-cli -h 10.9.0.1 -n 3 -r 50 -i 0.03 get k
wait_for 10 "the middle of the answers" get_reached body 200000
wait_for 10 "the middle of the answers" get_reached cli 400000
wait_for 10 "the middle of the item" get_reached mcbody 200000
# The server still takes what it is sent, and answers nothing any more.
kill -STOP "$redis_server" "$memcached_server"
get_with memccat memccat --servers=10.9.0.1 bigitem
: >"$lab_dir/marks/stopped"
wait_mark asked
wait_mark mcasked
unread() { (($(in_ns server ss -Htn "sport = :$1 and dport = :$2" | awk '{ print $2 }') > 0)); }
wait_for 5 "an unanswered command" unread 6379 "$port_held"
wait_for 5 "an unanswered get" unread 11211 "$port_mclate"
memccat_asks() { in_ns server ss -Htn 'sport = :11211' | grep -v ':400' | awk '$2 > 0 { found = 1 } END { exit !found }'; }
wait_for 5 "memccat's request" memccat_asks
pull_cable server
wait_for 10 "the takeover" taken_over
: >"$lab_dir/marks/after"
get_wait 20 idle held body silent differs other cli paced mc mcbody mclate memccat ceiling none noneidle

# Each whole, and through one connection.
same() { # ID SERVER CLIENT PHASE REASON DIGEST
	[[ $(get_exit "$1") == 0 ]] || fail "client '$1': exit $(get_exit "$1"): $(get_error "$1")"
	[[ $(get_field "$1" sha256) == "$6" ]] || fail "client '$1' got something else than the backup says"
	[[ $3 == redis-cli || $3 == memccat ]] || expect_fate "$(port_of "$1")" "continued $5"
	in_matrix replay "$2" "$2" "$3" "$4" "continued $5"
}
port_of() { local name=port_$1; echo "${!name}"; }
same idle redis-server python3-redis idle replay "$(reference redis 6379 "${idle[@]}")"
same held redis-server python3-redis head replay "$(reference redis 6379 "${held[@]}")"
same body redis-server socket body replay "$(reference plain 6379 "${body[@]}")"
same silent redis-server socket login idle "$(printf '+PONG\r\n' | sha256sum | cut_field)"
same cli redis-server redis-cli body replay "$(in_ns backup redis-cli -r 12 get big | sha256sum | cut_field)"
same paced redis-server redis-cli idle replay "$(in_ns backup redis-cli -n 3 -r 50 get k | sha256sum | cut_field)"
in_ns backup memccp --servers=127.0.0.1 "$lab_dir/bigitem"
same mcbody memcached socket body replay "$(reference plain 11211 "${mcbody[@]}")"
same memccat memcached memccat head replay "$(in_ns backup memccat --servers=127.0.0.1 bigitem | sha256sum | cut_field)"
same noneidle memcached socket idle idle "$(printf 'VERSION 1.6.18\r\n' | sha256sum | cut_field)"
same mc memcached python3-pymemcache idle replay "$(reference memcache 11211 "${mc[@]}")"
same mclate memcached python3-pymemcache head replay "$(reference memcache 11211 "${mclate[@]}")"

# Refused, for the reason that it is.
reset() { [[ $(get_exit "$1") != 0 ]] || fail "client '$1' was not reset"; }
for id in ceiling none differs other; do reset $id; done
expect_fate "$port_ceiling" "refused log-ceiling"
expect_fate "$port_none" "refused replay-not-allowed"
expect_fate "$port_differs" "continued replay"
expect_fate "$port_other" "continued replay"
[[ $(grep -c '"event":"connection-aborted".*"reason":"content-differs"' "$lab_dir/appliance.log") == 2 ]] ||
	fail "aborted: $(grep '"event":"connection-aborted"' "$lab_dir/appliance.log")"
in_matrix replay memcached memcached socket upload "refused log-ceiling"
in_matrix replay redis-server redis-server python3-redis other-content "refused content-differs"
in_matrix replay redis-server memcached python3-redis idle "refused content-differs"
pass "12 continued, 4 refused by name; longest stall $(longest_stall idle held body silent cli paced mc mcbody mclate memccat noneidle) ms"
