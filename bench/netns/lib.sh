# The lab: network namespaces, real servers and clients, and a cable to pull. Sourced, not run.
#
#              jb-$$-sw: br0, a switch in hub mode (every port sees every frame)
#            ┌───────────┬───────────┬───────────┐
#         server       backup       box        client           10.9.0.0/24, fd09::/64
#        10.9.0.1     10.9.0.2    10.9.0.3    10.9.0.10
#
# With `lab_up --router` the client sits behind a router (10.8.0.10, fd08::10), so that its
# frames carry the router's MAC. In each namespace the interface is called eth0.
#
# Everything waits on a condition with a deadline. All that is started here is ended by its
# process id when the script ends, in whatever way; namespaces and files go with it.

set -euo pipefail

lab_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${JEEBS_BUILD:=$lab_root/build}"
JEEBS_BUILD=$(cd "$lab_root" && realpath -m "$JEEBS_BUILD")
lab_tools=$JEEBS_BUILD/bench
lab_prefix=jb-$$
lab_name=$(basename "$0" .sh)
lab_dir=
lab_namespaces=()
lab_verdict=
. "$lab_root/bench/programs.sh"
exec 4>&1 # where the verdict goes, also from inside a step whose output is thrown away
lab_keep=${JEEBS_LAB_KEEP:-}

# ---- verdicts: one line, exit status 0, 1 or 77 ---------------------------------------------

pass() {
	lab_end_processes
	if grep -qE 'ERROR: [A-Za-z]*Sanitizer|runtime error:|WARNING: ThreadSanitizer' "$lab_dir/appliance.log"; then
		fail "a sanitizer complains: $(grep -m1 -oE '[A-Za-z]*Sanitizer: .*|runtime error: .*' "$lab_dir/appliance.log")"
	fi
	lab_prove_cuts
	lab_verdict=pass
	printf 'ok    %-28s %s\n' "${lab_name#test-}" "$*$lab_proved" >&4
	exit 0
}

fail() {
	# An interrupt may reach a child first; what fails then is not the reason: our own is on its way.
	sleep 0.2
	lab_verdict=fail
	printf 'FAIL  %-28s %s\n' "${lab_name#test-}" "$*" >&4
	exit 1
}

# Whoever is not root cannot make namespaces. Root can all that a scenario needs: what is missing then is a failure.
skip() {
	((EUID)) || fail "cannot run: $*"
	lab_verdict=skip
	printf 'skip  %-28s %s\n' "${lab_name#test-}" "$*" >&4
	exit 77
}

note() { printf '# %s\n' "$*" >&2; }

# need_kernel VERSION WHAT: an older kernel (Debian 12 has 6.1) does not have what the scenario is about.
need_kernel() {
	[[ $(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1) == "$1" ]] && return
	lab_verdict=skip
	printf 'skip  %-28s %s\n' "${lab_name#test-}" "Linux $(uname -r) is older than $1: no $2" >&4
	exit 77
}

# need PROGRAM...: so that a scenario says at its beginning what it cannot do without.
need() {
	local tool
	for tool; do
		program_find "$tool"
	done
}

# ---- beginning and end -----------------------------------------------------------------------

lab_init() {
	((EUID == 0)) || skip "namespaces need root"
	need ip curl nginx
	trap lab_finish EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	lab_dir=$(mktemp -d "${TMPDIR:-/tmp}/$lab_prefix-XXXXXX")
	chmod 755 "$lab_dir"
	mkdir "$lab_dir/get" "$lab_dir/www"
	: >"$lab_dir/appliance.log"
}

lab_finish() {
	local status=$?
	trap '' HUP INT TERM
	trap - EXIT
	set +e
	if [[ -z $lab_verdict && $lab_name == test-* ]] && ((status != 0)); then
		printf 'FAIL  %-28s %s\n' "${lab_name#test-}" "ended with status $status" >&4
	fi
	lab_end_processes
	lab_remove_namespaces
	if [[ -n $lab_keep ]] || ((status != 0 && status != 77 && status < 128)); then
		lab_keep_evidence
	fi
	[[ -n $lab_dir && -z $lab_keep ]] && rm -rf "$lab_dir"
	exit "$status"
}

lab_alive() { kill -0 "$1" 2>/dev/null; }

# Process ids that belong to the lab: started here, or living in its namespaces.
lab_processes() {
	local ns
	jobs -pr
	jobs -ps
	for ns in "${lab_namespaces[@]}"; do
		ip netns pids "$ns" 2>/dev/null
	done
}

lab_end_processes() {
	local round signal pids
	for round in {1..100}; do
		mapfile -t pids <<<"$(lab_processes)"
		[[ ${pids[0]} ]] || return 0
		case $round in
		1 | 2) signal=TERM ;; # a second one ends an appliance that serves restored connections
		40) signal=KILL ;;
		*) signal= ;;
		esac
		# What ended meanwhile is no failure.
		[[ -z $signal ]] || kill -"$signal" "${pids[@]}" 2>/dev/null || true
		((round != 1)) || kill -CONT "${pids[@]}" 2>/dev/null || true
		sleep 0.03
	done
}

lab_remove_namespaces() {
	local ns
	for ns in "${lab_namespaces[@]}"; do
		ip netns del "$ns" 2>/dev/null
	done
}

# What a failed test leaves: in $JEEBS_LAB_EVIDENCE/<test>, or told where the temporary files are.
lab_keep_evidence() {
	rm -rf "$lab_dir/www" "$lab_dir"/www-*
	if [[ -n ${JEEBS_LAB_EVIDENCE:-} ]]; then
		rm -rf "${JEEBS_LAB_EVIDENCE:?}/$lab_name"
		mkdir -p "$JEEBS_LAB_EVIDENCE"
		cp -r "$lab_dir" "$JEEBS_LAB_EVIDENCE/$lab_name"
		echo "# evidence: $JEEBS_LAB_EVIDENCE/$lab_name" >&2
	else
		lab_keep=yes
		echo "# evidence: $lab_dir" >&2
	fi
}

# wait_for SECONDS WHAT CONDITION...: until the condition holds; otherwise the test fails.
wait_for() {
	local what=$2
	wait_until "$1" "${@:3}" || fail "waited $1 s in vain for $what"
}

# stays SECONDS CONDITION...: it holds during all that time. For "does not happen".
stays() {
	local seconds=$1
	shift
	wait_until "$seconds" lab_not "$@" || return 0
	fail "it did not stay so: $*"
}

lab_not() { ! "$@"; }

# below NUMBER LIMIT WHAT
below() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }' || fail "$3: $1, not below $2"; }

# below_ms MS LIMIT WHAT: the limit is that of a machine that has nothing else to do; with more to run than cores it grows in proportion.
below_ms() { below "$1" "$(awk -v limit="$2" -v cores="$(nproc)" '{ print limit * ($1 > 2 * cores ? $1 / cores / 2 : 1) }' /proc/loadavg)" "$3"; }

# wait_until SECONDS CONDITION... (decimals allowed): status 0 as soon as it holds, 1 at the deadline.
wait_until() {
	local deadline_us
	deadline_us=$(awk -v now="${EPOCHREALTIME/./}" -v s="$1" 'BEGIN { printf "%.0f", now + s * 1e6 }')
	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/./} < deadline_us)) || return 1
		sleep 0.01
	done
}

# ---- topology --------------------------------------------------------------------------------

ns() { echo "$lab_prefix-$1"; }

# Every program of the lab is started here, or in the client by get_with: from the package that bench/packages tells.
in_ns() {
	local name=$1
	lab_program "$2"
	shift 2
	ip netns exec "$lab_prefix-$name" "$program_found" "$@"
}

# What has a directory is our own, or unpacked; the system's programs are known by their names.
lab_program() {
	case $1 in
	/usr/* | /bin/* | /sbin/*) program_find "${1##*/}" ;;
	*/*) program_found=$1 ;;
	*) program_find "$1" ;;
	esac
}

# For what runs in the background: the subshell of `&` becomes the program itself, so that its
# process id is in $!.
in_ns_exec() {
	local name=$1
	lab_program "$2"
	shift 2
	exec ip netns exec "$lab_prefix-$name" "$program_found" "$@"
}

lab_namespace() {
	ip netns add "$(ns "$1")"
	lab_namespaces+=("$(ns "$1")")
	ip -n "$(ns "$1")" link set lo up
}

# lab_port NAME NETWORK HOST: the namespace's eth0, plugged into the switch; `lab_bridge=br20 lab_port ...` into another one.
lab_bridge=br0
lab_port() {
	local name=$1 v4=10.$2.0.$3 v6=fd0$2::$3 dev=${4:-eth0}
	ip -n "$(ns "$name")" link add "$dev" type veth peer name "$name" netns "$(ns sw)"
	ip -n "$(ns sw)" link set "$name" master "$lab_bridge" up
	lab_address "$name" "$dev" "$v4" "$v6"
}

lab_address() {
	local netns
	netns=$(ns "$1")
	in_ns "$1" sysctl -qw "net.ipv6.conf.$2.accept_dad=0" "net.ipv6.conf.$2.router_solicitations=0"
	ip -n "$netns" address add "$3/24" dev "$2"
	ip -n "$netns" address add "$4/64" dev "$2" nodad
	ip -n "$netns" link set "$2" up
}

lab_switch() {
	lab_namespace sw
	in_ns sw sysctl -qw net.ipv6.conf.default.disable_ipv6=1
	ip -n "$(ns sw)" link add br0 type bridge ageing_time 0 stp_state 0 mcast_snooping 0
	ip -n "$(ns sw)" link set br0 up
}

lab_up_router() {
	lab_namespace router
	lab_port router 9 254
	ip -n "$(ns client)" link add eth0 type veth peer name eth1 netns "$(ns router)"
	lab_address client eth0 10.8.0.10 fd08::10
	lab_address router eth1 10.8.0.254 fd08::254
	in_ns router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n "$(ns client)" route add default via 10.8.0.254
	ip -n "$(ns client)" -6 route add default via fd08::254
	local name
	for name in server backup box; do
		ip -n "$(ns "$name")" route add default via 10.9.0.254
		ip -n "$(ns "$name")" -6 route add default via fd09::254
	done
}

# lab_up [--router] [--no-offload]
lab_up() {
	local router= offload=yes option name
	for option; do
		case $option in
		--router) router=yes ;;
		--no-offload) offload= ;;
		*) fail "lab_up: unknown option $option" ;;
		esac
	done
	lab_switch
	for name in server backup box client; do
		lab_namespace "$name"
	done
	lab_port server 9 1
	lab_port backup 9 2
	lab_port box 9 3
	if [[ $router ]]; then
		lab_up_router
	else
		lab_port client 9 10
	fi
	if [[ ! $offload ]]; then
		need ethtool
		for name in server backup box client ${router:+router}; do
			in_ns "$name" ethtool -K eth0 tso off gso off gro off tx off rx off >/dev/null
		done
	fi
	wait_for 5 "the network" lab_connected
	lab_record
}

# Every port of the switch forwards.
lab_connected() {
	! in_ns sw sh -c 'cat /sys/class/net/*/brport/state' | grep -qv '^3$'
}

# What the appliance's port sees, for whoever has to understand a failure.
lab_record() {
	[[ ${JEEBS_LAB_RECORD:-yes} == yes ]] && command -v tcpdump >/dev/null || return 0
	# tcpdump's ring has one place of the snapshot's length for each packet: as many places as can be had.
	if [[ $lab_prove ]]; then lab_capture box.pcap -s 66000 -B 131072; else lab_capture box.pcap -s 160 -c 400000; fi
}

# A scenario that says lab_prove=every (or every:N) before lab_up: what was captured of it, the dead server's part and the
# box's, is killed at every packet as well, and no cut may be wrong.
lab_prove=
lab_proved=
lab_protocols() {
	local all=$lab_protocol
	((${#lab_services[@]} == 0)) || all=$(printf '%s\n' "${lab_services[@]}" | sed -nE 's/.*protocol: *([a-z0-9-]+).*/\1/p' | sort -u | paste -sd+)
	echo "$all"
}
lab_prove_cuts() {
	local every=$lab_dir/every status=0
	[[ $lab_prove && -s $lab_dir/box.pcap ]] || return 0
	local what=(--modules "$(lab_modules)" --server "${talk_host:-10.9.0.1}" --protocol "$lab_protocol")
	((${#lab_services[@]} == 0)) || what=(-c "$lab_dir/appliance.yaml")
	"$JEEBS_BUILD/appliance/jeebs-appliance" --dry-run "$lab_dir/box.pcap" "${what[@]}" --fail-at "$lab_prove" -o json \
		>"$every.json" 2>"$every.txt" || status=$?
	((status <= 1 || status == 65)) || # 65: tcpdump was ended in the middle of a packet
		fail "every cut: exit status $status: $(jq -c .first_wrong "$every.json") $(tail -n1 "$every.txt")"
	[[ $(jq '.wrong == 0 and .exact > 0' "$every.json") == true ]] ||
		fail "every cut: $(jq -c 'del(.capture)' "$every.json")"
	printf '%s\t%s\n' "$(lab_protocols)" "$(jq -r '[.cuts, .exact, .cuts - .exact - .wrong, .wrong] | @tsv' "$every.json")" \
		>>"${JEEBS_LAB_DRILLS:-/dev/null}"
	lab_proved=$(jq -r '"; \(.cuts) cuts: \(.exact) exact, 0 wrong"' "$every.json")
}

# lab_capture FILE OPTION...: tcpdump on the appliance's port; process id in $lab_tcpdump. It goes before all others: what it
# loses on a busy machine would be missing from the proof.
lab_capture() {
	local file=$lab_dir/$1
	shift
	in_ns_exec box chrt -f 1 tcpdump -Z root -i eth0 -n -U --immediate-mode -B 32768 -w "$file" "$@" tcp or arp or icmp6 \
		2>"$file.log" &
	lab_tcpdump=$!
	wait_for 5 "tcpdump" grep -q 'listening on' "$file.log"
}

lab_capture_end() {
	kill -TERM "$lab_tcpdump"
	wait "$lab_tcpdump" 2>/dev/null || true
}

# pull_cable NAME: at the switch. The instant goes to $lab_dir/cut; $lab_dir/cut.off is there when it is off.
pull_cable() {
	cut_mark
	ip -n "$(ns sw)" link set "$1" down
	: >"$lab_dir/cut.off"
}

cut_mark() {
	echo "$EPOCHREALTIME" >"$lab_dir/cut.new"
	mv "$lab_dir/cut.new" "$lab_dir/cut"
}

# ---- servers ---------------------------------------------------------------------------------

# make_files NAME...: the same files for both servers (pattern.h: the name says the content).
make_files() {
	"$lab_tools/make-pattern" "$lab_dir/www" "$@"
	(cd "$lab_dir/www" && touch -d '2026-01-01 00:00:00 UTC' "$@")
}

# start_nginx NAME [DIRECTORY [SITE]]: in the namespace of that name, on port 80, both families.
# Locations, besides the files themselves:
#	/padded/F   a head of more than 9000 bytes
#	/chunked/F  Transfer-Encoding: chunked, no validators, 20 MB/s
#	/paced/F    20 MB/s, so that it is the server who limits
#	/held/F     not answered for a long time (unless SITE is "backup")
#	/posted/F   /paced/F, also as the answer to a POST
start_nginx() {
	local name=$1 www=${2:-$lab_dir/www} site=${3:-$1} dir=$lab_dir/nginx-$1
	mkdir -p "$dir"
	nginx_config "$www" "$dir" "$site" >"$dir/nginx.conf"
	in_ns_exec "$name" "${lab_nginx_with[@]}" "$(program nginx)" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" 2>>"$dir/error.log" &
	printf -v "nginx_$name" %s "$!"
	wait_for 5 "nginx on $name" in_ns "$name" curl -sf -o /dev/null "http://127.0.0.1/held/0.bin"
}

lab_nginx_workers=1
lab_nginx_tls=      # on port 443 with TLS besides: the certificate $lab_nginx_tls.crt, the key $lab_nginx_tls.key
lab_nginx_with=(env) # what starts it
nginx_config() {
	local www=$1 dir=$2 held=
	local pad
	printf -v pad '%03000d' 0
	# The first request passes (it was asked for at the start), each further one waits a minute more.
	[[ $3 == backup ]] || held='limit_req zone=held burst=10000;'
	: >"$www/0.bin"
	cat <<END
daemon off;
user root;
worker_processes $lab_nginx_workers;
worker_rlimit_nofile $(ulimit -Hn);
pid $dir/pid;
events { worker_connections $((lab_nginx_workers > 1 ? 16384 : 8192)); }
http {
	access_log $dir/access.log;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	sendfile on;
	tcp_nopush on;
	types { }
	default_type application/octet-stream;
	limit_req_zone \$server_port zone=held:64k rate=1r/m;
	server {
		listen 80 backlog=4096;
		listen [::]:80 backlog=4096;
		${lab_nginx_tls:+listen 443 ssl; listen [::]:443 ssl; ssl_certificate $lab_nginx_tls.crt; ssl_certificate_key $lab_nginx_tls.key;}
		root $www;
		location /padded/ { alias $www/; add_header X-Pad-1 $pad; add_header X-Pad-2 $pad; add_header X-Pad-3 $pad; }
		location /chunked/ { alias $www/; ssi on; ssi_types *; limit_rate 20m; }
		location /paced/ { alias $www/; limit_rate 20m; }
		location ~ ^/posted/(.*) { error_page 405 =200 /paced/\$1; return 405; }
		location /held/ { alias $www/; $held }
	}
}
END
}

# How many requests the nginx of that name has answered (besides the lab's own).
served() { grep -vc '"GET /held/0.bin ' "$lab_dir/nginx-$1/access.log" || true; }

# ---- the appliance ---------------------------------------------------------------------------

# Tests change these before appliance_start.
lab_health='{interval: 50ms, timeout: 50ms, fall: 3, rise: 3}'
lab_addresses='[10.9.0.1, "fd09::1"]'
lab_backups='[{address: 10.9.0.2}, {address: "fd09::2"}]'
lab_fence=
lab_protocol=http
lab_services=() # instead of port 80 with $lab_protocol: each like '{port: 25, protocol: smtp}'
lab_interface=eth0        # where the address is taken
lab_capture_interface=eth0
lab_ring=256MiB
lab_workers=2
lab_capture= # more about the capture, such as "spill: 1MiB"
lab_metrics=127.0.0.1:9817
lab_extra= # further top-level lines

appliance_config() {
	cat <<END
appliance:
  state_dir: $lab_dir/state
  control_socket: $lab_dir/control.sock
  modules_dir: $(lab_modules)
  log: json
capture:   {interfaces: [$lab_capture_interface], workers: $lab_workers, ring: $lab_ring${lab_capture:+, $lab_capture}}
metrics:   {listen: "$lab_metrics"}
defaults:  {health: $lab_health}
servers:
  - name: web1
    addresses: $lab_addresses
    interface: $lab_interface
    backups: $lab_backups
    ${lab_fence:+fence: $lab_fence}
    services:
$(printf '      - %s\n' "${lab_services[@]:-{port: 80, protocol: $lab_protocol\}}")
$lab_extra
END
}

lab_modules() { dirname "$(find "$JEEBS_BUILD/recovery-modules" -name 'http.so' -print -quit)"; }

# appliance_start [OPTION...]: in the box, with the configuration above; process id in $appliance.
appliance_start() {
	local program=$JEEBS_BUILD/appliance/jeebs-appliance
	[[ -x $program ]] || fail "no $program"
	mkdir -p "$lab_dir/state"
	appliance_config >"$lab_dir/appliance.yaml"
	# shellcheck disable=SC2086
	in_ns_exec box env $JEEBS_LAB_WRAP "$program" -c "$lab_dir/appliance.yaml" "$@" 2>>"$lab_dir/appliance.log" &
	appliance=$!
	wait_for 10 "the appliance to watch web1" appliance_watches
}
: "${JEEBS_LAB_WRAP:=}" # e.g. valgrind, or strace -f -o FILE

appliance_watches() {
	lab_alive "$appliance" || fail "the appliance ended: $(tail -n1 "$lab_dir/appliance.log")"
	event server-up
}

# event NAME [TEXT]: has the appliance logged it (with a line that contains TEXT)?
event() { grep -F "\"event\":\"$1\"" "$lab_dir/appliance.log" | grep -F -- "${2:-}" >/dev/null; }

# event_field NAME FIELD: of the last such event; empty without one.
event_field() {
	grep -F "\"event\":\"$1\"" "$lab_dir/appliance.log" | tail -n1 |
		sed -nE "s/.*\"$2\":(\"([^\"]*)\"|([-0-9.]+)).*/\2\3/p"
}

# metric_sum NAME: of all whose name and labels begin so.
metric_sum() { in_ns box curl -sf http://127.0.0.1:9817/metrics | awk -v m="$1" 'index($1, m) == 1 { n += $2 } END { print n + 0 }'; }

jeebsctl() { in_ns box "$JEEBS_BUILD/appliance/jeebsctl" --socket "$lab_dir/control.sock" "$@"; }

taken_over() { event failover-open; }
no_takeover() { ! event failover-begin; }

# appliance_signal SIGNAL: and no waiting.
appliance_signal() { kill -"$1" "$appliance"; }

# appliance_wait SECONDS: until it has ended; its exit status in $appliance_status.
appliance_wait() {
	wait_for "$1" "the appliance to end" lab_ended "$appliance"
	appliance_status=0
	wait "$appliance" || appliance_status=$?
}

lab_ended() { ! lab_alive "$1"; }

# What a takeover leaves in the box: empty when nothing is left.
box_traces() {
	in_ns box nft list tables | grep -F jeebs || true
	ip -n "$(ns box)" address show dev eth0 | grep -E '10\.9\.0\.1/|fd09::1/' || true
	[[ ! -e $lab_dir/control.sock ]] || echo "control.sock"
}

# ---- stock clients ---------------------------------------------------------------------------

# get ID CURL-ARGUMENTS...: curl in the client, in the background, its output through stallcat.
# `get_rate=2000000 get ...` makes it a slow reader (bytes per second); `get_in=NAMESPACE get ...` runs it there.
get_rate=
get_in=client
get() {
	local id=$1
	shift
	get_with "$id" curl -sS --fail -o - "$@"
}

# get_with ID PROGRAM...: any client that writes bodies to its standard output.
get_with() {
	local id=$1 base=$lab_dir/get/$1
	lab_program "$2"
	shift 2
	(
		set +e
		ip netns exec "$(ns "$get_in")" "$program_found" "$@" 2>"$base.err" |
			"$lab_tools/stallcat" --mark "$lab_dir/cut" --progress "$base.progress" \
				${get_rate:+--rate "$get_rate" --hurry "$lab_dir/hurry"} >"$base.json"
		echo "${PIPESTATUS[0]}" >"$base.exit.new"
		mv "$base.exit.new" "$base.exit"
	) &
}

get_bytes() {
	local n
	n=$(head -c 20 "$lab_dir/get/$1.progress" 2>/dev/null || true)
	echo "$((10#${n:-0}))"
}

# Rates count no longer.
get_hurry() { : >"$lab_dir/hurry"; }

get_ended() { [[ -e $lab_dir/get/$1.exit ]]; }

# In the middle: at least so many bytes have come. A client that has ended never was there.
get_reached() {
	get_ended "$1" && fail "client '$1' ended too early: exit $(get_exit "$1"): $(get_error "$1")"
	(($(get_bytes "$1") >= $2))
}

# get_ends SECONDS ID: until it has ended; status 1 when no byte has come for so long. How fast they come depends on
# how busy the machine is.
get_ends() {
	local bytes
	bytes=$(get_bytes "$2")
	until wait_until "$1" get_ended "$2"; do
		(($(get_bytes "$2") > bytes)) || return 1
		bytes=$(get_bytes "$2")
	done
}

# get_wait SECONDS ID...: the same of each, or the test fails.
get_wait() {
	local seconds=$1 id
	shift
	for id; do
		get_ends "$seconds" "$id" || fail "client '$id' has not ended; nothing came for $seconds s"
	done
}

get_exit() { cat "$lab_dir/get/$1.exit"; }
get_error() { tail -n1 "$lab_dir/get/$1.err"; }
get_field() { sed -nE "s/.*\"$2\":\"?([^,\"}]*).*/\1/p" "$lab_dir/get/$1.json"; }

# What a client must have received when it asked for these files one after another.
files_sum() { (cd "$lab_dir/www" && cat "$@") | sha256sum | cut_field; }
cut_field() { local first _; read -r first _ && echo "$first"; }

# get_check ID FILE...: exit status 0 and every byte right, or the test fails.
get_check() {
	local id=$1
	shift
	[[ $(get_exit "$id") == 0 ]] || fail "client '$id': exit $(get_exit "$id"): $(get_error "$id")"
	[[ $(get_field "$id" sha256) == "$(files_sum "$@")" ]] ||
		fail "client '$id': wrong bytes ($(get_field "$id" bytes) of them)"
}

# The longest stall since the cut among these clients, in whole milliseconds.
longest_stall() {
	local id longest=0 ms
	for id; do
		ms=$(get_field "$id" stall_ms)
		ms=${ms%.*}
		((ms > longest)) && longest=$ms
	done
	echo "$longest"
}

# in_matrix MODULE SERVER BACKUP CLIENT PHASE OUTCOME: a row of docs/protocols.md. OUTCOME is `continued MANNER` or
# `refused REASON`, the words of the plan; whoever says so has compared every byte.
in_matrix() {
	local IFS=$'\t'
	printf '%s\n' "$*" >>"${JEEBS_LAB_MATRIX:-/dev/null}"
}

# ---- many connections at once ----------------------------------------------------------------

all_phases=held,late,head,body,stopped,tail,idle,accepted,chunked,pipelined

# many ID DLCLIENT-ARGUMENTS...: dlclient in the client, in the background.
many() {
	local base=$lab_dir/get/$1
	shift
	(
		set +e
		ip netns exec "$(ns client)" "$lab_tools/dlclient" --mark "$lab_dir/cut" \
			--ready "$base.ready" "$@" >"$base.json" 2>"$base.err"
		echo $? >"$base.exit.new"
		mv "$base.exit.new" "$base.exit"
	) &
}

# many_ready ID: every connection is in its phase.
many_ready() { wait_for 20 "the connections of '$1' to be in their phases" test -e "$lab_dir/get/$1.ready"; }

# Of the last line of dlclient, which is about all connections.
many_field() { tail -n1 "$lab_dir/get/$1.json" | sed -nE "s/.*\"$2\":([-0-9.]+).*/\1/p"; }

# many_check ID: every connection got every byte, or the test fails with the first that did not.
many_check() {
	local id=$1 bad
	[[ $(get_exit "$id") != 0 ]] || return 0
	bad=$(grep '"connection":' "$lab_dir/get/$id.json" | grep -v '"fate":"ok"' | sed -nE \
		's/.*"phase":"([a-z]+)","fate":"([a-z]+)","why":"([^"]*)".*/\1 \2 (\3)/p' |
		sort | uniq -c | sort -rn | head -n 3 | tr -s ' \n' ' ')
	fail "$(many_field "$id" ok) of $(many_field "$id" connections) right;$bad$(get_error "$id")"
}

# The usual story: N connections in all phases, the cable, every byte. What is special about the
# network is set up before. phases_survive N [DLCLIENT-ARGUMENT...]
phases_survive() {
	local count=$1
	shift
	many all --host 10.9.0.1 --count "$count" --phases "$all_phases" --timeout 60 "$@"
	many_ready all
	pull_cable server
	get_wait 60 all
	many_check all
	all_continued
}

# Nobody was refused, aborted or lost, by the appliance's own account.
all_continued() {
	wait_for 5 "the summary of the failover" event failover-summary
	local refused
	refused=$(event_field failover-summary refused)
	[[ $refused == 0 ]] || fail "$refused refused: $(event_field connection-refused reason)"
	event connection-aborted && fail "a connection was aborted: $(event_field connection-aborted reason)"
	! lab_alive "$appliance" || account_adds_up
}

# When the clients have ended: each connection has its fate, and every sum of them is the number of those that were
# live: in the log, in the metrics, in jeebsctl. Leaves $account_continued and so on.
all_settled() {
	wait_for 10 "the fate of every connection" event failover-settled
	local fate
	for fate in live continued refused aborted gone unanswered; do
		printf -v "account_$fate" %s "$(event_field failover-settled "$fate")"
	done
	((account_continued + account_refused + account_aborted + account_gone == account_live)) ||
		fail "the account does not add up: $(grep -F '"event":"failover-settled"' "$lab_dir/appliance.log")"
	account_adds_up
}

# At any time after the summary: who is not settled is continuing.
account_adds_up() {
	wait_for 5 "the account to add up, in the metrics" metrics_add_up
	[[ $(jeebsctl -o json show failovers |
		jq '[.data[] | .live == .continuing + .continued + .refused + .aborted + .gone] | all') == true ]] ||
		fail "the account does not add up: $(jeebsctl show failovers)"
}

metrics_add_up() {
	local live
	live=$(jq -s 'map(select(.event == "failover-summary") | .live) | add' "$lab_dir/appliance.log")
	[[ $(in_ns box curl -sf http://127.0.0.1:9817/metrics |
		awk '/^jeebs_connections_(migrated_total|continuing)[{]/ { n += $NF } END { print n + 0 }') == "$live" ]]
}

# Refused only when the box had asked again and again: for bytes the client says it has sent and never sends again, or for an answer.
refused_after_waiting() {
	jq -s '(map(select(.event == "failover-open")) | first | .time) as $open |
		def at: (.[:19] + "Z" | fromdate) + (.[19:23] | tonumber);
		[.[] | select(.event == "connection-refused" and (.reason | IN("client-bytes-lost", "client-unheard"))) |
			select((.time | at) > ($open | at) + 1)] | length' "$lab_dir/appliance.log"
}

# every_fate ID: each connection went on byte for byte or was reset at once, as many as the appliance refused, each
# for a reason; none hangs. Those it had to wait for (refused_after_waiting) a little later. Leaves $fates_ok, $fates_refused, and the reasons with their counts in $fates_why.
every_fate() {
	local base=$lab_dir/get/$1 late waited
	wait_for 10 "the summary of the failover" event failover-summary
	jq -r 'select(.connection != null) | [.phase, .fate, .why, (.ended_ms | floor)] | join(" ")' "$base.json" >"$base.fates"
	jq -r 'select(.event == "connection-refused" or .event == "connection-aborted") | .reason' \
		"$lab_dir/appliance.log" >"$base.reasons"
	fates_ok=$(grep -c '^[a-z]* ok ' "$base.fates" || true)
	fates_refused=$(grep -c '^[a-z]* broken reset ' "$base.fates" || true)
	fates_why=$(sort "$base.reasons" | uniq -c | sort -rn | awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $1, $2 }')
	((fates_ok + fates_refused == $(wc -l <"$base.fates"))) ||
		fail "neither right nor reset: $(grep -vE '^[a-z]* (ok|broken reset) ' "$base.fates" | sort | uniq -c | sort -rn | head -n 3 | tr -s ' \n' ' ')"
	((fates_refused == $(wc -l <"$base.reasons"))) || fail "$fates_refused reset; refused: $fates_why"
	waited=$(refused_after_waiting)
	late=$(awk '$2 == "broken" && $4 > 1500' "$base.fates" | wc -l)
	((late <= waited)) || fail "$late reset more than 1.5 s after the cut, $waited of them waited for"
	all_settled
	((account_refused + account_aborted == fates_refused)) ||
		fail "$fates_refused clients were reset, $account_refused refused and $account_aborted aborted"
}

# How long the part after detection took, in milliseconds.
takeover_ms() {
	local detected open
	detected=$(event_field failover-detected at_ms)
	open=$(event_field failover-open at_ms)
	awk -v a="$detected" -v b="$open" 'BEGIN { printf "%.1f", b - a }'
}

# "200 connections, longest stall 312 ms, taken over in 4.2 ms"
phases_summary() {
	printf '%s connections, stall median %.0f ms, longest %.0f ms; taken over %s ms after detection' \
		"$(many_field all ok)" "$(many_field all stall_median_ms)" "$(many_field all stall_ms)" "$(takeover_ms)"
}

# Both servers, the appliance, the usual files: what most scenarios begin with, after lab_up.
usual_start() {
	make_files 1k.bin 100k.bin 1m.bin 20m.bin
	start_nginx server
	start_nginx backup
	appliance_start --debug
}
