#!/usr/bin/env bash
# The server's program is killed, its host lives: the host's kernel ends every connection. That is recognised
# as such, counted, and final; nothing is taken over. The service comes back, and later the host dies.
. "$(dirname "$0")/lib.sh"
lab_init
need jq
lab_up
lab_health='{interval: 200ms, timeout: 200ms, fall: 10, rise: 2}'
usual_start

metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" '$1 == m { print $2 }'; }
ended() { grep -F '"event":"service-down"' "$lab_dir/appliance.log" | jq -r "select(.service == \"10.9.0.1:80\") | $1"; }
status() { jeebsctl status 2>/dev/null || true; }

# Two in the middle of a body, one unanswered; one idle behind its answer.
get body1 http://10.9.0.1/paced/20m.bin
get body2 http://10.9.0.1/chunked/20m.bin
get held http://10.9.0.1/held/1k.bin
many idle --host 10.9.0.1 --count 3 --phases idle --timeout 5
wait_for 10 "the first download" get_reached body1 2000000
wait_for 10 "the second download" get_reached body2 2000000
many_ready idle
mapfile -t workers < <(in_ns server pgrep -P "$nginx_server")
killed=$(date +%s%3N)
kill -KILL "$nginx_server" "${workers[@]}"
wait "$nginx_server" 2>/dev/null || true
wait_for 5 "the verdict" event service-down 10.9.0.1:80
took=$(($(date -d "$(ended .time)" +%s%3N) - killed))
below_ms "$took" 1800 "milliseconds to 'service-down', for which ten silent rounds are needed without the wire"
get_wait 10 body1 body2 held
for id in body1 body2 held; do [[ $(get_exit "$id") != 0 ]] || fail "'$id' believes that all is well"; done
# Two were cut in a body; three were idle, and one was not answered at all. A reset is what the kernel sends where it has unread bytes.
[[ $(ended '.reset + .cut') == 2 && $(ended .finished) == 4 ]] ||
	fail "ended: $(ended '"\(.reset) by reset, \(.cut) cut, \(.finished) finished"')"
counted() { (($(metric "jeebs_connections_ended_by_service_total{server=\"web1\",how=\"finished\"}") == 4)); }
wait_for 5 "the metric" counted
status | grep -q '^SERVICE-DOWN' || fail "status says: $(status | head -n1)"
status | grep -q 'ended by services that went down: 6' || fail "status says: $(status)"
[[ $(jeebsctl -o json show servers | jq -c '.data[0].services[0] | [.service, .down, .ended.finished]') == \
	'["10.9.0.1:80",true,4]' ]] || fail "show servers: $(jeebsctl -o json show servers)"
no_takeover || fail "a living host was taken over"

# Back again; then the host dies.
start_nginx server
wait_for 5 "the service to come back" event service-up
wait_for 5 "the server to be up" grep -q '"event":"server-up"' <(tail -n 3 "$lab_dir/appliance.log")
get after http://10.9.0.1/paced/20m.bin
wait_for 10 "the next download" get_reached after 2000000
pull_cable server
get_wait 30 after
get_check after 20m.bin
[[ $(metric 'jeebs_connections_ended_by_service_total{server="web1",how="finished"}') == 4 ]] || fail "counted again"
[[ $(ended .service | wc -l) == 1 ]] || fail "logged $(ended .service | wc -l) times"
pass "service down after $took ms: $(ended '"\(.reset) by reset, \(.cut) cut, \(.finished) finished"'); later taken over"
