#!/usr/bin/env bash
# The operator's view: jeebsctl as text and JSON before, during and after a takeover, and metrics that
# promtool accepts and that count the same.
. "$(dirname "$0")/lib.sh"
lab_init
need jq
lab_up
usual_start

# Status 1 is an answer too: "no".
ctl_json() { { jeebsctl -o json "$@" || (($? == 1)); } | jq -er ".data | $json" || fail "jeebsctl $*: no $json"; }
metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" '$1 == m { print $2 }'; }
promtool_accepts() {
	command -v promtool >/dev/null || return 0
	in_ns box curl -sf http://127.0.0.1:9817/metrics | promtool check metrics >&2 ||
		fail "promtool does not accept the metrics"
}
web1_is_ready() { [[ $(json='.[0].ready' ctl_json show servers) == true ]]; }
sees_connections() { (($(json=.live ctl_json status) == 20)); }

[[ $(json=.state ctl_json status) == watching ]] || fail "state: $(json=.state ctl_json status)"
jeebsctl status >/dev/null || fail "status does not say yes"
[[ $(json='.[0].name' ctl_json show servers) == web1 ]] || fail "web1 is not shown"
wait_for 5 "web1 to be ready" web1_is_ready # the box's firewall is rehearsed first
in_ns box curl -sf -o /dev/null http://127.0.0.1:9817/healthz || fail "healthz"
in_ns box curl -sf -o /dev/null http://127.0.0.1:9817/readyz || fail "readyz"
promtool_accepts

many all --host 10.9.0.1 --count 20 --phases body,idle,accepted,held
many_ready all
wait_for 5 "20 live connections" sees_connections
[[ $(json=.continuable ctl_json status) == 20 ]] || fail "continuable: $(json=.continuable ctl_json status)"
client=$(json='[.[] | select(.verdict == "continue")][0].client' ctl_json show connections)
jeebsctl explain "$client" >/dev/null || fail "explain $client"
[[ $(json=.client ctl_json explain "$client") == "$client" ]] || fail "explain in JSON"
status=0
jeebsctl explain 10.9.0.10:1 >/dev/null 2>&1 || status=$?
((status == 1)) || fail "an unknown connection is explained with status $status"
status=0
jeebsctl failover web9 >/dev/null 2>&1 || status=$?
((status == 1)) || fail "failover of an unknown server: status $status"

pull_cable server
get_wait 30 all
many_check all
all_continued
[[ $(json=.state ctl_json status) == taken-over ]] || fail "state: $(json=.state ctl_json status)"
promtool_accepts
counted() { [[ $(metric 'jeebs_failovers_total{server="web1",outcome="success"}') == 1 ]]; }
wait_for 5 "the failover to be counted" counted
pass "20 connections shown, explained, taken over and counted"
