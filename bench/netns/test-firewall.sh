#!/usr/bin/env bash
# The box has a firewall of its own. An ordinary one (what is established comes in, new ones to a few ports) does not keep
# clients from what was restored; one that would is told before it matters, by its rule.
. "$(dirname "$0")/lib.sh"

lab_init
need nft
lab_up

firewall() { in_ns box nft -f -; }
readyz() { in_ns box curl -s -o "$lab_dir/readyz" -w '%{http_code}' http://127.0.0.1:9817/readyz; }
# ready_is CODE TEXT
ready_is() { [[ $(readyz) == "$1" ]] && grep -qF -- "$2" "$lab_dir/readyz"; }
rule_is() { [[ $(jeebsctl show servers -o json | jq -r '.data[0].firewall.rule') == "$1" ]]; }

ordinary() {
	firewall <<END
flush ruleset
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		iifname "lo" accept
		ct state established,related accept
		ct state invalid drop
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { 22, 80 } ct state new tcp flags & (fin|syn|rst|ack) == syn accept
	}
}
END
}

# Nothing of restored connections would come in, whatever conntrack knows.
firewall <<END
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		iifname "lo" accept
		meta l4proto { icmp, ipv6-icmp } accept
		ip saddr 10.9.0.1 accept
		ip6 saddr fd09::1 accept
	}
}
END
usual_start
wait_for 10 "/readyz to name the firewall" ready_is 503 "web1: firewall-drops-restored"
rule_is "inet filter input: policy drop" || fail "the rule: $(jeebsctl show servers -o json)"
in_ns box "$JEEBS_BUILD/appliance/jeebs-appliance" -t -c "$lab_dir/appliance.yaml" >"$lab_dir/check.out" 2>&1 || fail "-t: exit status $?"
grep -qF "web1: firewall-drops-restored: inet filter input: policy drop" "$lab_dir/check.out" || fail "-t said: $(cat "$lab_dir/check.out")"

# New connections would not reach the backup.
firewall <<END
flush ruleset
table inet filter { chain forward { type filter hook forward priority 0; policy drop; }; }
END
wait_for 10 "/readyz to name the forward chain" ready_is 503 "web1: firewall-drops-new"
rule_is "inet filter forward: policy drop" || fail "the rule: $(jeebsctl show servers -o json)"

ordinary
wait_for 10 "/readyz to be content with an ordinary firewall" ready_is 200 ready
[[ $(jeebsctl show servers -o json | jq -r '.data[0].firewall.tracked') == true ]] || fail "not tracked"

many all --host 10.9.0.1 --count 50 --phases "$all_phases" --timeout 60
many six --host fd09::1 --count 20 --phases "$all_phases" --timeout 60
many_ready all
many_ready six
pull_cable server
get_wait 60 all six
many_check all
many_check six
all_continued
get new --max-time 10 http://10.9.0.1/1m.bin
get_wait 15 new
get_check new 1m.bin
pass "$(phases_summary)"
