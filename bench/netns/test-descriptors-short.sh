#!/usr/bin/env bash
# Too few descriptors (ulimit -n): every program says so, with the limit, and no other cause. With as many as the daemon
# asks for it watches, takes over and answers; with many more connections than there are descriptors for, it holds the
# address and answers all the same.
. "$(dirname "$0")/lib.sh"
connections=300

lab_init
need prlimit ab
lab_up
make_files 1k.bin
start_nginx server
start_nginx backup
mkdir -p "$lab_dir/state"
appliance_config >"$lab_dir/appliance.yaml"
lab_capture ab.pcap -s 2000
in_ns client ab -q -n 50 http://10.9.0.1/1k.bin >/dev/null 2>&1
lab_capture_end

# limited LIMIT PROGRAM ARGUMENT...: what it says, in $said, and its status.
limited() {
	local limit=$1
	shift
	status=0
	said=$(in_ns box prlimit --nofile="$limit:$limit" "$JEEBS_BUILD/appliance/$@" 2>&1) || status=$?
}
short='Too many open files: the limit is'
says_short() { [[ $said == *"$short $1 "* ]] || fail "$2 with $1 descriptors: status $status: $said"; }

limits=(4 8 12 16 20 24 32 48 64)
for limit in "${limits[@]}"; do
	limited "$limit" jeebs-appliance -c "$lab_dir/appliance.yaml"
	[[ $status == 69 && $said == *'"event":"descriptors-short","limit":'"$limit"',"needed":'* && $said != *$'\n'* ]] ||
		fail "the daemon with $limit descriptors: status $status: $said"
	needed=$(sed -E 's/.*"needed":([0-9]+).*/\1/' <<<"$said")
	limited "$limit" jeebs-appliance -t -c "$lab_dir/appliance.yaml"
	[[ $status == 0 && $said != *firewall* ]] || says_short "$limit" "--check-config"
	limited "$limit" jeebs-appliance --modules "$(lab_modules)" --dry-run "$lab_dir/ab.pcap" --server 10.9.0.1
	((status <= 1)) || says_short "$limit" "the drill"
done
limited 4 jeebs-appliance --modules "$(lab_modules)" --dry-run "$lab_dir/ab.pcap" --server 10.9.0.1
says_short 4 "the drill"
limited 16 jeebs-appliance -t -c "$lab_dir/appliance.yaml"
says_short 16 "--check-config"
limited $((needed - 1)) jeebs-appliance -c "$lab_dir/appliance.yaml"
[[ $status == 69 && $said == *descriptors-short* ]] || fail "the daemon with $((needed - 1)) descriptors: status $status: $said"

JEEBS_LAB_WRAP="$JEEBS_LAB_WRAP prlimit --nofile=$needed:$needed" appliance_start
many idle --host 10.9.0.1 --count "$connections" --phases idle --file 1k.bin --next-file 1k.bin --followups 1 \
	--ask-at-once 1 --timeout 60
many_ready idle
pull_cable server
wait_for 5 "the summary of the failover" event failover-summary
(($(event_field failover-summary refused) > 0)) || fail "nobody was refused"
answers() { jeebsctl show failovers >/dev/null && in_ns box curl -sf -o /dev/null http://127.0.0.1:9817/metrics; }
answers || fail "nobody answers for want of descriptors"
# Renewed each 10 s, of 30: what there is of it grows.
lifetime() { ip -n "$(ns box)" -o address show dev eth0 | sed -nE 's|.* 10\.9\.0\.1/.*valid_lft ([0-9]+)sec.*|\1|p'; }
aged() { (($(lifetime) <= 22)); }
renewed() { (($(lifetime) >= 28)); }
wait_for 12 "the address to grow old" aged
wait_for 12 "the address to be renewed" renewed
answers || fail "nobody answers for want of descriptors"
[[ ! $(grep -F "$short" "$lab_dir/appliance.log" | grep -vE '"event":"(connection|restore-failed|backup-not-asked)') ]] ||
	fail "something lacked a descriptor: $(grep -F -m1 "$short" "$lab_dir/appliance.log")"
pass "below $needed descriptors every program says so; with $needed: $(event_field failover-summary refused) of $connections refused, the address held, questions answered"
