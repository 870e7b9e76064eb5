#!/usr/bin/env bash
# caddy, h2o, webfs, mini_httpd and python's http.server, as their packages come, crossed with nginx. They name one file by
# other tags and types: what was delivered is compared, of whole bodies and of ranges that clients asked for.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
. "$(dirname "$0")/http-servers.sh"
lab_init
need python3
lab_prove=every:20
old=([80]=caddy [81]=h2o [82]=webfs [83]=mini_httpd [84]=python [85]=nginx [86]=nginx [87]=caddy [88]=nginx [89]=nginx)
backup=([80]=nginx [81]=caddy [82]=nginx [83]=nginx [84]=nginx [85]=caddy [86]=h2o [87]=webfs [88]=mini_httpd [89]=python)
for port in "${!old[@]}"; do lab_services+=("{port: $port, protocol: http}"); done
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_up
mkdir "$lab_dir/marks"
make_files 1k.bin 1m.txt
ln -s . "$lab_dir/www/tag"
http_server server caddy 80 87
http_server server h2o 81
http_server server webfs 82
http_server server mini_httpd 83
http_server server python 84
http_server server nginx 85 86 88 89
http_server backup nginx 80 82 83 84
http_server backup caddy 81 85
http_server backup h2o 86
http_server backup webfs 87
http_server backup mini_httpd 88
http_server backup python 89
in_ns client sysctl -qw net.ipv4.tcp_rmem="4096 65536 131072"
appliance_start --debug

# A range of the client's own, from every server that does any.
head -c 900000 "$lab_dir/www/1m.txt" | tail -c +100001 >"$lab_dir/www/part.txt"
ranged=(80 81 82 85 86 87 88)
url() { echo "http://10.9.0.1:$port/tag/1m.txt"; }
for port in "${!old[@]}"; do get_gated whole$port curl -sS --fail --local-port 4${port}1 "$(url)"; done
for port in "${ranged[@]}"; do get_gated part$port curl -sS --fail --local-port 4${port}2 -r 100000-899999 "$(url)"; done
reached() { wait_for 20 "'$1' to be in the middle" marked "$1"; }
for port in "${!old[@]}"; do reached whole$port; done
for port in "${ranged[@]}"; do reached part$port; done
pull_cable server
wait_for 20 "the takeover" taken_over
mark after

# row CLIENT PHASE LOCAL-PORT OUTCOME
row() {
	expect_fate "$3" "$4"
	in_matrix http "${old[$port]}" "${backup[$port]}" "$1" "$2" "$4"
}
for port in "${!old[@]}"; do
	get_wait 40 whole$port
	get_check whole$port 1m.txt
	row curl body 4${port}1 "continued range"
done
for port in "${ranged[@]}"; do
	get_wait 40 part$port
	get_check part$port part.txt
	row "curl, a range" body 4${port}2 "continued range"
done
! event connection-aborted || fail "aborted: $(event_field connection-aborted reason)"
pass "17 clients, longest stall $(longest_stall whole{80,81,82,83,84,85,86,87,88,89} part{80,81,82,85,86,87,88}) ms"
