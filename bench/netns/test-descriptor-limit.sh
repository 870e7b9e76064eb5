#!/usr/bin/env bash
# More connections than the appliance has descriptors: so many go on, the others are reset at once and say why.
. "$(dirname "$0")/lib.sh"
connections=400
limit=200

# Of refused and continued connections, what the metrics say.
metric() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" 'index($1, m) == 1 && $1 ~ /'"$2"'/ { n += $2 } END { print n + 0 }'; }

lab_init
lab_up
make_files 1k.bin
start_nginx server
start_nginx backup
JEEBS_LAB_WRAP="$JEEBS_LAB_WRAP prlimit --nofile=$limit:$limit" appliance_start
many idle --host 10.9.0.1 --count "$connections" --phases idle --file 1k.bin --next-file 1k.bin --followups 1 \
	--ask-at-once 1 --timeout 40
many_ready idle
pull_cable server
wait_for 5 "the summary of the failover" event failover-summary
continued=$(($(event_field failover-summary continuing) + $(event_field failover-summary continued)))
refused=$(event_field failover-summary refused)
((continued > limit / 2 && continued < limit && continued + refused + $(event_field failover-summary aborted) == connections)) ||
	fail "$continued continued and $refused refused, of $connections"
[[ $(metric jeebs_connections_refused_total descriptor-limit) == "$refused" ]] || fail "refused for another reason"
get_wait 40 idle
resets=$(grep -c '"why":"reset"' "$lab_dir/get/idle.json")
right=$(many_field idle ok)
asked_in_vain=$(grep '"fate":"broken"' "$lab_dir/get/idle.json" | grep -vc '"why":"reset"' || true)
# Descriptors that are left go to the backup's side: who finds none is reset as well, and that is told too.
((asked_in_vain == 0 && right + resets == connections && resets >= refused)) ||
	fail "$right right, $resets reset, $asked_in_vain neither"
((resets == refused)) || event backup-not-asked || fail "$resets resets for $refused refusals, and no word about it"
[[ $(many_field idle wrong) == 0 ]] || fail "wrong bytes"
pass "$limit descriptors: $continued of $connections continued, $refused refused (descriptor-limit), $right got their answer"
