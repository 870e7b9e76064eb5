#!/usr/bin/env bash
# WebSocket: http sees the upgrade and hands the connection over, replay goes on with it. Echo servers, stock clients, the
# server killed idle, in the middle of echoes, with messages unanswered, and before the upgrade was answered.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
need websocketd
lab_init
lab_services=('{port: 80, protocol: http, upgrade: replay}' '{port: 81, protocol: http}' '{port: 82, protocol: http, upgrade: replay}'
	'{port: 83, protocol: http, upgrade: replay}')
lab_prove=every:10
lab_up
mkdir "$lab_dir/marks"
# On 83 the two are crossed.
websocketd() { in_ns_exec "$1" websocketd --port="$2" --loglevel=error cat >"$lab_dir/websocketd-$1.log" 2>&1; }
websockets() { in_ns_exec "$1" /usr/bin/python3 "$lab_root/bench/netns/websocket-server.py" "$2" 2>"$lab_dir/websockets-$1-$2.log"; }
for name in server backup; do
	websocketd $name 80 &
	printf -v stopped_$name %s $!
	websocketd $name 81 &
	websockets $name 82 &
	printf -v stopped_too_$name %s $!
done
websocketd server 83 &
websockets backup 83 &
for name in server backup; do
	for port in 80 81 82 83; do
		wait_for 5 "port $port on $name" in_ns $name bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
	done
done
appliance_start --debug

# client ID LIBRARY PORT STEP...
client() { get_with "$1" /usr/bin/python3 "$lab_root/bench/netns/websocket-client.py" "$2" "ws://10.9.0.1:$3/" "$lab_dir/marks" "${@:4}"; }
idle=(say:3:20 hear:3 mark:idle1 await:after say:3:30 hear:3)
client idle1 websocket 80 "${idle[@]}"
client idle2 websockets 80 "${idle[@]/idle1/idle2}"
head=(say:2:20 hear:2 mark:head1 await:stopped say:5:400 mark:asked1 hear:5 say:2:10 hear:2)
client head1 websocket 80 "${head[@]}"
client head2 websockets 80 "${head[@]/%1/2}"
body=(talk:600:1000:150 say:1:20 hear:1)
client unsaid websocket 81 say:1:20 hear:1 mark:unsaid await:after say:1:20 hear:1
# The other server's 101 has a date, and the backup's another.
dated=(say:3:20 hear:3 mark:dated1 await:after say:3:30 hear:3)
client dated1 websocket 82 "${dated[@]}"
client dated2 websockets 82 "${dated[@]/dated1/dated2}"
client crossed websocket 83 say:1:20 hear:1 mark:crossed await:after say:1:20 hear:1
for m in idle1 idle2 head1 head2 unsaid dated1 dated2 crossed; do wait_mark $m; done
client body1 websocket 80 "${body[@]}"
client body2 websockets 80 "${body[@]}"
client datedbody websocket 82 "${body[@]}"
for id in body1 body2 datedbody; do wait_for 10 "the middle of the echoes" get_reached $id 50000; done
kill -STOP "$stopped_server" "$stopped_too_server"
login=(say:2:20 hear:2)
client login1 websocket 80 "${login[@]}"
client login2 websockets 80 "${login[@]}"
: >"$lab_dir/marks/stopped"
wait_mark asked1
wait_mark asked2
# As long as the request of an upgrade: what the others have said is longer.
unread() { (($(in_ns server ss -Htn 'sport = :80' | awk '$2 > 100 && $2 < 300' | wc -l) == 2)); }
wait_for 5 "two upgrades that were asked for" unread
pull_cable server
wait_for 10 "the takeover" taken_over
: >"$lab_dir/marks/after"
all=(idle1 idle2 head1 head2 body1 body2 login1 login2 dated1 dated2 datedbody)
get_wait 20 "${all[@]}" unsaid crossed

same() { # PHASE REASON ID STEP...
	local want library=python3-websocket server=websocketd
	want=$(/usr/bin/python3 "$lab_root/bench/netns/websocket-client.py" expect "${@:4}" | sha256sum | cut_field)
	[[ $(get_exit "$3") == 0 ]] || fail "client '$3': exit $(get_exit "$3"): $(get_error "$3")"
	[[ $(get_field "$3" sha256) == "$want" ]] || fail "client '$3' heard something else than it said"
	[[ $3 != *2 ]] || library=python3-websockets
	[[ $3 != dated* ]] || server=python3-websockets
	in_matrix "${2%% *}" $server $server $library "$1" "continued ${2#* }"
}
for i in 1 2; do
	same idle "replay replay" idle$i "${idle[@]}"
	same head "replay replay" head$i "${head[@]}"
	same body "replay replay" body$i "${body[@]}"
	same login "http replay" login$i "${login[@]}"
	same idle "replay replay" dated$i "${dated[@]}"
done
same body "replay replay" datedbody "${body[@]}"
went_on() { grep '"event":"connection-continued"' "$lab_dir/appliance.log" | grep -c "\"module\":\"$1\",\"reason\":\"replay\"" || true; }
[[ $(went_on replay) == 10 && $(went_on http) == 2 ]] || fail "continued: $(went_on replay) by replay, $(went_on http) by http"
[[ $(get_exit unsaid) != 0 ]] || fail "a WebSocket went on without a module for it"
event connection-refused '"reason":"upgraded"' || fail "not refused: the service without upgrade"
in_matrix http websocketd websocketd python3-websocket idle "refused upgraded"
[[ $(get_exit crossed) != 0 ]] || fail "another server's backup went on"
event connection-aborted '"reason":"content-differs"' || fail "not refused: a backup that answers the upgrade otherwise"
in_matrix replay websocketd python3-websockets python3-websocket idle "refused content-differs"
pass "11 continued; longest stall $(longest_stall "${all[@]}") ms; without upgrade, and with another server, refused"
