#!/usr/bin/env bash
# protocol: auto on every port: downloads by HTTP and a login by FTP go on, each by its own module, and so does who has not
# spoken yet; redis, which no module knows, is refused by name.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
. "$(dirname "$0")/ftp.sh"
need redis-server redis-cli
ftp_need
lab_init
lab_services=('{port: 80, protocol: auto}' '{port: 8080, protocol: auto}' '{port: 21, protocol: auto, login: replay}'
	'{port: 6379, protocol: auto}')
lab_prove=every:20
lab_up
mkdir "$lab_dir/marks"
ftp_files 1k.bin 20m.bin
for name in server backup; do
	start_nginx $name
	in_ns_exec $name /usr/bin/python3 -m http.server --bind :: --protocol HTTP/1.1 --directory "$lab_dir/www" 8080 >"$lab_dir/http-$name.log" 2>&1 &
	start_ftp vsftpd $name
	in_ns_exec $name redis-server --bind '*' '-::*' --protected-mode no --save '' --dir "$lab_dir" --loglevel warning >"$lab_dir/redis-$name.log" 2>&1 &
	wait_for 5 "redis on $name" in_ns $name redis-cli ping
	wait_for 5 "http.server on $name" in_ns $name curl -sf -o /dev/null http://127.0.0.1:8080/1k.bin
done
appliance_start --debug

client_no=0
client() { # ID PORT STEP...
	client_no=$((client_no + 1))
	get_with "$1" env "FROM=$((20000 + client_no))" /usr/bin/python3 "$lab_root/bench/netns/replay-client.py" plain "$2" "$lab_dir/marks" "${@:3}"
	printf -v "port_$1" %s $((20000 + client_no))
}
request='GET /1k.bin HTTP/1.0\r\n\r\n'
client ftp 21 hear:20 say:'USER anonymous\r\n' hear:34 say:'PASS a@b\r\n' hear:23 mark:ftp await:after say:'TYPE I\r\n' hear:31 say:'SIZE /pub/1k.bin\r\n' hear:10
client ftpsilent 21 hear:20 mark:ftpsilent await:after say:'USER anonymous\r\n' hear:1
client silent 8080 mark:silent await:after say:"$request" end
client half 80 say:'GET /1k.b' mark:half await:after say:'in HTTP/1.0\r\n\r\n' end
client redis 6379 say:'PING\r\n' hear:7 mark:redis await:after say:'PING\r\n' hear:7
for m in ftp ftpsilent silent half redis; do wait_mark $m; done
# What an operator sees.
jeebsctl -o json explain "10.9.0.10:$port_ftp" >"$lab_dir/explain.json"
[[ $(jq -r '.data | [.protocol, .module] | join(" ")' "$lab_dir/explain.json") == "auto ftp" ]] ||
	fail "explain says $(cat "$lab_dir/explain.json")"
counted() { [[ $(in_ns box curl -s http://127.0.0.1:9817/metrics | awk '$1 == "jeebs_protocol_unknown_total" { print $2 }') -ge 1 ]]; }
wait_for 5 "a connection of unknown protocol to be counted" counted

get_rate=8000000 get body http://10.9.0.1/20m.bin http://10.9.0.1/1k.bin
get_rate=8000000 get slow http://10.9.0.1:8080/20m.bin
for id in body slow; do wait_for 10 "the download '$id'" get_reached $id 1000000; done
pull_cable server
wait_for 10 "the takeover" taken_over
: >"$lab_dir/marks/after"
get_wait 20 ftp ftpsilent silent half redis body slow
get_check body 20m.bin 1k.bin
get_check slow 20m.bin
printf '220 (vsFTPd 3.0.3)\r\n331 Please specify the password.\r\n230 Login successful.\r\n200 Switching to Binary mode.\r\n213 1024\r\n' >"$lab_dir/ftp.want"
for id in ftp silent; do [[ $(get_exit $id) == 0 ]] || fail "client '$id': exit $(get_exit $id): $(get_error $id)"; done
[[ $(get_field ftp sha256) == $(sha256sum <"$lab_dir/ftp.want" | cut_field) ]] || fail "ftp: $(get_bytes ftp) bytes, others than should be"
(($(get_bytes silent) > 1024)) || fail "an answer of $(get_bytes silent) bytes"
for id in half ftpsilent redis; do [[ $(get_exit $id) != 0 ]] || fail "client '$id' was not reset"; done
expect_fate "$port_ftp" "continued idle"
expect_fate "$port_silent" "continued idle"
expect_fate "$port_half" "refused protocol-unknown"
expect_fate "$port_ftpsilent" "refused protocol-unknown"
expect_fate "$port_redis" "refused protocol-unknown"
# The same without a configuration: one port, of any protocol.
"$JEEBS_BUILD/appliance/jeebs-appliance" --dry-run "$lab_dir/box.pcap" --modules "$(lab_modules)" --server 10.9.0.1:80 --protocol auto \
	--fail-at every:50 -o json >"$lab_dir/auto.json" 2>/dev/null || true
[[ $(jq '.wrong == 0 and .exact > 0 and .refused["protocol-unknown"] > 0' "$lab_dir/auto.json") == true ]] ||
	fail "dry run: $(jq -c 'del(.capture)' "$lab_dir/auto.json")"
pass "http and ftp continued, the unknown refused; longest stall $(longest_stall body slow ftp silent) ms"
