#!/usr/bin/env bash
# HTTP/2 in cleartext: nginx and nghttpd, asked by python3-h2, curl and nghttp. The cable is pulled in the middle of
# downloads side by side on one connection, of an upload, and with nothing open.
. "$(dirname "$0")/lib.sh"
need nghttpd nghttp
lab_init
# On 80 nginx both times, on 8080 nghttpd, on 8081 the one and then the other; 8082 is for protocol: auto.
lab_services=('{port: 80, protocol: h2}' '{port: 8080, protocol: h2}' '{port: 8081, protocol: h2}'
	'{port: 8082, protocol: auto}')
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
lab_prove=every:60
lab_up
make_files 1k.bin 100k.bin 1m.bin 5m.bin
mkdir "$lab_dir/marks"

start_servers() {
	local name=$1 dir=$lab_dir/h2-$1
	mkdir -p "$dir/up"
	nginx_config "$lab_dir/www" "$dir" "$name" |
		sed -e "s/listen 80 .*/listen 80 http2; listen 8082 http2; $( [[ $name == server ]] && echo 'listen 8081 http2;')/" \
			-e '/listen \[::\]:80/d' -e "s|location /held/|client_max_body_size 10m; location /up/ { alias $dir/up/; dav_methods PUT; } &|" \
			-e "s/limit_rate 20m/limit_rate $([[ $name == server ]] && echo 700k || echo 20m)/" >"$dir/nginx.conf"
	in_ns_exec "$name" nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log" 2>>"$dir/error.log" &
	in_ns_exec "$name" nghttpd --no-tls -d "$lab_dir/www" 8080 >"$dir/nghttpd.log" 2>&1 &
	if [[ $name == backup ]]; then
		ln -sfn . "$lab_dir/www/paced" # nghttpd knows no pace
		in_ns_exec "$name" nghttpd --no-tls -d "$lab_dir/www" 8081 >>"$dir/nghttpd.log" 2>&1 &
	fi
	local port
	for port in 80 8080 8081 8082; do
		wait_for 5 "port $port on $name" in_ns "$name" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
	done
}
start_servers server
start_servers backup
appliance_start --debug

# client ID PORT STEP...: what it got is in $lab_dir/ID.
client() {
	lab_program python3
	ip netns exec "$(ns client)" "$program_found" "$lab_root/bench/netns/h2-client.py" 10.9.0.1 "$2" "$lab_dir/marks" "$1" \
		"${@:3}" >"$lab_dir/$1" 2>"$lab_dir/$1.err" &
	printf -v "client_$1" %s "$!"
}
there() { [[ -e $lab_dir/marks/$1 ]]; }
side_by_side=(get:/paced/5m.bin get:/paced/1m.bin get:/paced/100k.bin get:/chunked/1m.bin reach:100000 mark done)
client several 80 "${side_by_side[@]}" get:/1k.bin done
client crossed 8081 get:/paced/1m.bin get:/paced/5m.bin reach:100000 mark done
client guessed 8082 get:/paced/1m.bin get:/1k.bin reach:1000 mark done get:/100k.bin done
client idle 80 get:/1k.bin done mark await:after get:/100k.bin get:/1k.bin done
client upload 80 get:/1k.bin done put:/up/a:3000000 get:/paced/1m.bin reach:20000 mark done
get curl --http2-prior-knowledge http://10.9.0.1/paced/5m.bin
get_rate=1000000 get_with nghttp nghttp --no-dep http://10.9.0.1:8080/5m.bin
for id in several crossed guessed idle upload; do wait_for 10 "client $id" there "$id"; done
for id in curl nghttp; do wait_for 10 "client $id" get_reached "$id" 300000; done
pull_cable server
wait_for 20 "the takeover" taken_over
: >"$lab_dir/marks/after"
get_hurry
get_wait 30 curl nghttp
get_check curl 5m.bin
get_check nghttp 5m.bin

# got ID NAME...: these files, in this order, each with status 200.
got() {
	local id=$1 pid=client_$1 name want
	wait "${!pid}" || fail "client $id: $(tail -n1 "$lab_dir/$id.err")"
	shift
	want=$(for name; do echo "200 $(stat -c %s "$lab_dir/www/$name") $(files_sum "$name")"; done)
	[[ $(cut -d ' ' -f 2- "$lab_dir/$id") == "$want" ]] || fail "client $id: $(cat "$lab_dir/$id")"
}
got several 5m.bin 1m.bin 100k.bin 1m.bin 1k.bin
got crossed 1m.bin 5m.bin
got guessed 1m.bin 1k.bin 100k.bin
got idle 1k.bin 100k.bin 1k.bin
wait "$client_upload" || fail "client upload: $(tail -n1 "$lab_dir/upload.err")"
[[ $(sed -n 2p "$lab_dir/upload") == "/up/a 201 0 "* ]] || fail "upload: $(cat "$lab_dir/upload")"
cmp <(python3 -c 'import sys; sys.stdout.buffer.write(bytes(i % 251 for i in range(3000000)))') "$lab_dir/h2-backup/up/a" ||
	fail "the upload differs"
in_matrix h2 nginx nginx 'python3-h2, side by side' body 'continued digest'
in_matrix h2 nginx nginx curl body 'continued range'
in_matrix h2 nginx nghttpd python3-h2 body 'continued range'
in_matrix h2 nghttpd nghttpd nghttp body 'continued range'
in_matrix h2 nginx nginx python3-h2 idle 'continued idle'
in_matrix h2 nginx nginx python3-h2 upload 'continued range'
pass "7 connections, longest stall $(longest_stall curl nghttp) ms"
