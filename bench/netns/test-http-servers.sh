#!/usr/bin/env bash
# nginx, Apache and lighttpd, each continued by another make and by its own: downloads, uploads and connections that
# rest, of curl, wget and a client that keeps its connection, all cut at once.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
. "$(dirname "$0")/http-servers.sh"
lab_init
need apache2 lighttpd wget python3 ss
lab_prove=every:20
for port in 80 81 82 83 84 85; do lab_services+=("{port: $port, protocol: http}"); done
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_up
mkdir "$lab_dir/marks"
make_files 1k.bin 1m.bin 20m.bin
http_post_script
ip -n "$(ns client)" address add 10.9.0.11/24 dev eth0
in_ns client sysctl -qw net.ipv4.tcp_rmem="4096 65536 131072"

# From one make to another, and to the same.
old=([80]=nginx [81]=apache2 [82]=lighttpd [83]=nginx [84]=apache2 [85]=lighttpd)
backup=([80]=apache2 [81]=lighttpd [82]=nginx [83]=nginx [84]=apache2 [85]=lighttpd)
http_server server nginx 80 83
http_server server apache2 81 84
http_server server lighttpd 82 85
http_server backup nginx 82 83
http_server backup apache2 80 84
http_server backup lighttpd 81 85
appliance_start --debug

url() { echo "http://10.9.0.1:$port/$1"; }
python() { get_with "$1$port" python3 "$lab_root/bench/netns/http-client.py" 10.9.0.1 "$port" "$2" "$lab_dir/marks" "${@:3}"; }
file=$lab_dir/www/1m.bin
long=([81]=$lab_dir/www/20m.bin) # more than the box may queue for a backup: from its log
ranges=300000-799999,100-199,5-5,850000-1048575
python3 -c 'import sys
data = open(sys.argv[1], "rb").read()
for r in sys.argv[2].split(","):
	first, last = map(int, r.split("-"))
	sys.stdout.buffer.write(data[first:last + 1])' "$file" "$ranges" >"$lab_dir/www/parts.bin"
for port in 80 81 82; do
	get_gated body$port curl -sS --fail --local-port 4${port}1 "$(url 1m.bin)"
	get_gated tag$port curl -sS --fail --local-port 4${port}2 "$(url tag/1m.bin)"
	get_gated wget$port wget -q -O - --bind-address=10.9.0.11 "$(url 1m.bin)"
	python idle 4${port}3 get:/1k.bin mark:idle$port await:after get:/1m.bin
	python parts 4${port}7 "parts:/1m.bin:$ranges:parts$port" get:/1k.bin
	python chunks 4${port}4 "put:/put/chunks:${long[$port]:-$file}:chunks$port" get:/1k.bin
	put_gated put$port "$file" --local-port 4${port}5 "$(url put/counted)"
	put_gated post$port "$file" -X POST --local-port 4${port}6 "$(url post/post.sh)"
done
for port in 83 84 85; do
	get_gated gzip$port curl -sS --fail --local-port 4${port}1 --compressed "$(url gzip/1m.bin)"
done
for port in "${!old[@]}"; do
	get_with head$port python3 "$states_dir/tcp-client.py" 10.9.0.1 "$port" "$lab_dir/marks" \
		port:4${port}8 rcvbuf:2304 get:/pad/1k.bin mark:head$port await:after response
done

reached() { wait_for 20 "'$1' to be in the middle" marked "$1"; }
# Bytes of an upload that the old server has taken.
taken() {
	local n
	n=$(in_ns server ss -Htinoe "sport = :$port and dport = :$1" | grep -oE 'bytes_received:[0-9]+') || return 1
	((${n#*:} > 200000))
}
unread() { [[ $(in_ns client ss -Htn "dport = :$port and sport = :$1" | cut_field) == ESTAB ]] && in_ns server ss -Htn "sport = :$port and dport = :$1" | awk '{ exit !($3 > 0) }'; }
for port in 80 81 82; do
	for id in body tag wget; do reached $id$port; done
	reached idle$port
	reached chunks$port
	reached parts$port
	for id in 5 6; do wait_for 20 "half an upload" taken 4$port$id; done
done
for port in 83 84 85; do reached gzip$port; done
for port in "${!old[@]}"; do
	reached head$port
	wait_for 20 "half a head" unread 4${port}8
done
pull_cable server
ip netns pids "$(ns server)" | xargs -r kill -KILL 2>/dev/null || true
wait_for 20 "the takeover" taken_over
mark after

# row CLIENT PORT PHASE LOCAL-PORT OUTCOME: what the appliance says of it, for the matrix.
row() {
	expect_fate "$4" "$5"
	in_matrix http "${old[$2]}" "${backup[$2]}" "$1" "$3" "$5"
}
stored() { cmp -s "$2" "$lab_dir/put-backup-${backup[$port]}/put/$1" || fail "${backup[$port]}: $1 is not what was sent"; }
for port in 80 81 82; do
	get_wait 40 {body,tag,wget,idle,parts,chunks,put,post}$port
	get_check parts$port parts.bin 1k.bin
	for id in body tag wget; do get_check $id$port 1m.bin; done
	get_check idle$port 1k.bin 1m.bin
	get_check chunks$port 1k.bin
	[[ $(get_exit put$port) == 0 ]] || fail "put$port: $(get_error put$port)"
	stored chunks "${long[$port]:-$file}"
	stored counted "$file"
	[[ $(get_exit post$port) == 22 && $(get_error post$port) == *502* ]] ||
		fail "post$port: $(get_exit post$port): $(get_error post$port)"
	row curl $port body 4${port}1 "continued range"
	expect_fate 4${port}2 "continued range"
	wget_fate=$(grep -F '"client":"10.9.0.11:' "$lab_dir/appliance.log" | grep -F ":$port\"" | sed -nE 's/.*"event":"connection-([a-z]+)".*"reason":"([^"]*)".*/\1 \2/p') || true
	[[ $wget_fate == "continued range" ]] || fail "wget$port: '$wget_fate'"
	in_matrix http "${old[$port]}" "${backup[$port]}" wget body "$wget_fate"
	row http.client $port idle 4${port}3 "continued idle"
	row "http.client, ranges" $port body 4${port}7 "continued multipart"
	row http.client $port upload 4${port}4 "continued replay"
	row "curl, 100-continue" $port upload 4${port}5 "continued head"
	row "curl, POST" $port upload 4${port}6 "continued answered-502"
	# The makes order their fields differently: half a head of one is no beginning of the other's.
	get_wait 40 head$port
	[[ $(get_error head$port) == *"Connection reset"* && $(get_bytes head$port) == 0 ]] || fail "head$port: $(get_error head$port)"
	expect_fate 4${port}8 "continued head"
	in_matrix http "${old[$port]}" "${backup[$port]}" tcp-client head "refused head-contradicts"
done
for port in 83 84 85; do
	get_wait 40 gzip$port head$port
	get_check gzip$port 1m.bin
	get_check head$port 1k.bin
	row tcp-client $port head 4${port}8 "continued head"
done
row "curl, gzip" 83 body 4831 "continued digest"
row "curl, gzip" 84 body 4841 "continued digest"
row "curl, gzip" 85 body 4851 "continued range"
[[ $(event_field failover-summary refused) == 0 ]] || fail "$(event_field failover-summary refused) refused"
[[ $(jq -r 'select(.event == "connection-aborted") | .reason' "$lab_dir/appliance.log" | tr '\n' ' ') == "head-contradicts head-contradicts head-contradicts " ]] ||
	fail "aborted: $(event_field connection-aborted reason)"
pass "33 clients, longest stall $(longest_stall {body,tag,wget}{80,81,82} gzip{83,84,85}) ms"
