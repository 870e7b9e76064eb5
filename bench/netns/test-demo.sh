#!/usr/bin/env bash
# ./demo ends well; and interrupted in the middle it leaves no process, namespace or file behind.
# Alone: its figures are what a user sees.
. "$(dirname "$0")/lib.sh"
lab_init
export JEEBS_BUILD TMPDIR=$lab_dir/tmp
mkdir "$TMPDIR"

"$lab_root/demo" >"$lab_dir/demo.txt" 2>&1 </dev/null || fail "exit status $?: $(tail -n1 "$lab_dir/demo.txt")"
grep -q 'first byte to a client' "$lab_dir/demo.txt" || fail "no timeline"

demo_runs() { grep -q '^Downloading' "$lab_dir/interrupted.txt" && ip netns list | grep -q "^jb-$demo-box"; }
demo_traces() {
	ip netns list | grep "^jb-$demo-" || true
	ls -A "$TMPDIR"
	pgrep -g "$demo" || true
}
# As at a terminal: the interrupt goes to the whole process group.
env --default-signal=INT setsid "$lab_root/demo" >"$lab_dir/interrupted.txt" 2>&1 </dev/null &
demo=$!
wait_for 60 "the demo to download" demo_runs
kill -INT -- "-$demo"
wait_for 10 "the demo to end" lab_ended "$demo"
status=0
wait "$demo" || status=$?
((status == 130)) || fail "interrupted, exit status $status"
demo_left_nothing() { [[ -z $(demo_traces) ]]; } # what was killed may take a moment to be reaped
wait_until 3 demo_left_nothing || fail "left behind: $(demo_traces | tr '\n' ' ')"
pass "a full run, and an interrupted one that left nothing"
