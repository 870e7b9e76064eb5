#!/usr/bin/env bash
# Two clients behind one address: a router that masquerades. They use the same port of their own, and the router
# gives one of them another.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
lab_init
lab_prove=every
need nft python3 ss
lab_up --router
make_files 1k.bin 108k.bin

lab_namespace second
ip -n "$(ns second)" link add eth0 type veth peer name eth2 netns "$(ns router)"
lab_address second eth0 10.7.0.10 fd07::10
lab_address router eth2 10.7.0.254 fd07::254
ip -n "$(ns second)" route add default via 10.7.0.254
in_ns router nft -f - <<'END'
table ip nat {
	chain out {
		type nat hook postrouting priority 100
		oifname "eth0" masquerade
	}
}
END
states_start

# second ID PORT STEP...: as talk, in the other client's place.
second() { (ns() { [[ $1 == client ]] && set -- second; echo "$lab_prefix-$1"; }; talk "$@"); }

half="/108k.bin?hold=100000&close&gate"
talk one 48001 "get:$half=g1" read:100000 mark:read1 eof again get:/1k.bin response
second two 48001 "get:$half=g2" read:100000 mark:read2 eof again get:/1k.bin response
wait_mark read1
wait_mark read2
ports() { in_ns server ss -Htn state established sport = :80 | awk '{ print $4 }' | sort; }
[[ $(ports | wc -l) == 2 && -z $(ports | grep -v 10.9.0.254) ]] || fail "not behind one address: $(ports | tr '\n' ' ')"
[[ $(ports) == *:48001* && $(ports | uniq -d) == "" ]] || fail "ports: $(ports | tr '\n' ' ')"
pull_cable server
get_wait 20 one two
get_check one 108k.bin 1k.bin
get_check two 108k.bin 1k.bin
all_continued
all_settled
[[ $account_continued == 2 ]] || fail "$account_continued continued"
pass "2 of one address continued, each reached the backup again"
