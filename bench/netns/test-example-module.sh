#!/usr/bin/env bash
# The module of docs/writing-a-module.md: built outside the tree against what is installed, loaded, killed at every packet of
# a capture, and taken over with it.
. "$(dirname "$0")/lib.sh"
lab_init
need make pkg-config meson socat python3

# ---- as somebody else would build it -------------------------------------------------------------

installed=$lab_dir/installed source=$lab_dir/counter
DESTDIR=$installed meson install -C "$JEEBS_BUILD" --no-rebuild --quiet >"$lab_dir/install.log" 2>&1 ||
	fail "meson install: $(tail -n1 "$lab_dir/install.log")"
header=$(find "$installed" -name recovery-module.h)
PKG_CONFIG_PATH=$(find "$installed" -name jeebs-module.pc -printf %h)
export PKG_CONFIG_PATH
cp -r "$lab_root/recovery-modules/example" "$source"
make -C "$source" install DESTDIR="$installed" CFLAGS='-O2 -Wall -Wextra -Werror' \
	PKG_CONFIG="pkg-config --define-variable=prefix=${header%/include/jeebs/*}" >"$lab_dir/make.log" 2>&1 ||
	fail "make: $(grep -m1 -E 'error|Error' "$lab_dir/make.log")"
grep -qF -- "-I${header%/jeebs/*}" "$lab_dir/make.log" || fail "it was not built against the installed header"
modules=$installed$(pkg-config --variable=modulesdir jeebs-module)
[[ -e $modules/counter.so && -e $modules/http.so ]] || fail "no counter.so beside http.so"
# And a program against libjeebs-adopt.
pc() { pkg-config --define-variable=prefix="${header%/include/jeebs/*}" "$@"; }
# shellcheck disable=SC2046
cc -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$lab_dir/tally" "$lab_root/recovery-modules/adopt/example/tally.c" \
	$(pc --cflags --libs jeebs-adopt) >"$lab_dir/cc.log" 2>&1 || fail "cc: $(grep -m1 error "$lab_dir/cc.log")"
printf 'a\nb\n' | LD_LIBRARY_PATH=$(pc --variable=libdir jeebs-adopt) "$lab_dir/tally" --offline | grep -q '^2 ' ||
	fail "the program does not run with the installed library"

lab_modules() { echo "$modules"; }

lab_services=('{port: 7000, protocol: counter}')
lab_addresses='[10.9.0.1]' lab_backups='[{address: 10.9.0.2}]'
lab_prove=every
lab_up
in_ns_exec server python3 "$source/counter-server.py" 7000 &
in_ns_exec backup python3 "$source/counter-server.py" 7000 &
appliance_config >"$lab_dir/appliance.yaml"
"$JEEBS_BUILD/appliance/jeebs-appliance" --check-config -c "$lab_dir/appliance.yaml" >"$lab_dir/check.log" 2>&1 ||
	fail "--check-config: $(tail -n1 "$lab_dir/check.log")"
listening() { in_ns "$1" ss -Htln 'sport = :7000' | grep -q .; }
wait_for 5 "the servers" listening server
wait_for 5 "the servers" listening backup
appliance_start --debug

# ---- a conversation, cut in three phases -----------------------------------------------------------

# talk ID FIRST [THEN]: says FIRST, after the cut THEN, and hears all of it.
talk() {
	local id=$1 base=$lab_dir/$1
	{
		printf "$2"
		wait_until 20 test -e "$lab_dir/after"
		printf "$3"
	} | in_ns client socat -t 30 - TCP:10.9.0.1:7000 >"$base.out" 2>"$base.err" && touch "$base.done" &
}
talk idle 'add 5\nadd 37\nnonsense\n' 'add 8\n'
talk half 'add 100\nad' 'd 11\nadd 1\n'
talk fresh '' 'add 1\n'
has_heard() { (($(wc -l <"$lab_dir/$1.out") == $2)); }
wait_for 5 "answers" has_heard idle 3
wait_for 5 "answers" has_heard half 1
three() { (($(in_ns server ss -Htn state established 'sport = :7000' | wc -l) == 3)); }
wait_for 5 "three connections" three
read_all() { (($(in_ns server ss -Htin 'sport = :7000' | grep -o 'bytes_received:[0-9]*' | awk -F: '{ n += $2 } END { print n }') == 32)); }
wait_for 5 "the server to have read half a line" read_all
pull_cable server
wait_for 10 "the takeover" taken_over
touch "$lab_dir/after"
for id in idle half fresh; do wait_for 10 "$id to end" test -e "$lab_dir/$id.done"; done
expect() { [[ $(paste -sd' ' "$lab_dir/$1.out") == "$2" ]] || fail "$1: $(paste -sd' ' "$lab_dir/$1.out")"; }
expect idle '= 5 = 42 ? = 50'
expect half '= 100 = 111 = 112'
expect fresh '= 1'
all_continued
for id in idle half fresh; do
	case $id in half) phase=head how=asked ;; *) phase=idle how=idle ;; esac
	in_matrix "counter (example)" counter-server.py counter-server.py socat $phase "continued $how"
done
pass "built outside the tree; 3 connections went on"
