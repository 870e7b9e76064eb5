#!/usr/bin/env bash
# Stock clients of HTTPS in the middle of a transfer: curl, wget (GnuTLS), openssl s_client, Node's fetch, Python's requests and
# httpx, aria2 with several connections, git; with HTTP/1.1 and HTTP/2, down and up. nginx, apache2, haproxy and
# lighttpd die, each is continued by another make, caddy among them. Every client verifies whom it talks to, gets every byte, and no alert.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
lab_init
need wget node aria2c git python3 apache2 haproxy lighttpd
lab_up
make_files 1k.bin 4m.bin 20m.bin
ln -s . "$lab_dir/www/tag"
mkdir "$lab_dir/marks"
https_up

declare -A old backup client more=([4409]='replay: all')
# way PORT SERVER BACKUP CLIENT
way() { old[$1]=$2 backup[$1]=$3 client[$1]=$4; }
way 4401 nginx apache2 curl
way 4402 nginx haproxy 'curl, HTTP/2'
way 4403 apache2 nginx 'wget (GnuTLS)'
way 4404 lighttpd nginx 'openssl s_client'
way 4405 haproxy lighttpd "Node's fetch"
way 4406 nginx caddy requests
way 4407 apache2 haproxy 'httpx, HTTP/2'
way 4408 nginx nginx 'aria2, 4 connections'
way 4409 apache2 apache2 'git clone'
way 4410 lighttpd apache2 'curl, HTTP/2'
way 4411 haproxy nginx 'httpx, HTTP/2'
way 4412 apache2 apache2 'git clone, dumb'
ports_of() { # ARRAY MAKE
	local -n of=$1
	local port
	for port in "${!of[@]}"; do [[ ${of[$port]} != "$2" ]] || echo "$port"; done | sort
}

git init -q --bare -b main "$lab_dir/git/files.git"
git init -q -b main "$lab_dir/tree"
head -c 4000000 /dev/urandom >"$lab_dir/tree/random.bin"
git -C "$lab_dir/tree" add .
git -C "$lab_dir/tree" -c user.name=lab -c user.email=lab@example.net commit -q -m one
git -C "$lab_dir/tree" push -q "$lab_dir/git/files.git" main
git -C "$lab_dir/git/files.git" repack -qad
git -C "$lab_dir/git/files.git" update-server-info
chown -R www-data: "$lab_dir/git"

for side in old backup; do
	if [[ $side == old ]]; then
		name=server http_tls=$lab_dir/tls http_env=("${tapped[@]}") http_pace=yes http_git=$lab_dir/git http_clear=8081
	else
		name=backup http_tls=$lab_dir/backup http_env=() http_pace='' http_clear=8081
	fi
	for make in nginx apache2 haproxy lighttpd caddy; do
		mapfile -t ports < <(ports_of $side $make)
		((${#ports[@]} == 0)) || http_server $name $make "${ports[@]}"
	done
done
for port in "${!client[@]}"; do https_service "$port" https "${more[$port]:-}"; done
https_start

ca=$lab_dir/both.crt
url() { echo "https://10.9.0.1:$1/${2:-4m.bin}"; }
fetch='import { once } from "node:events";
const r = await fetch(process.argv[1]);
if (!r.ok) throw new Error(r.status);
for await (const part of r.body) if (!process.stdout.write(part)) await once(process.stdout, "drain");'
curl=(curl -sS --fail --cacert "$ca" --no-keepalive)
get_with 4401 "${curl[@]}" --http1.1 "$(url 4401)"
get_with 4402 "${curl[@]}" --http2 "$(url 4402)"
get_with 4403 wget -q -O - --tries=1 --ca-certificate="$ca" "$(url 4403)"
get_with 4404 bash -o pipefail -c 'printf "GET /4m.bin HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n" |
	openssl s_client -connect 10.9.0.1:4404 -CAfile "$0" -verify_return_error -quiet -ign_eof -msg -msgfile "$1/messages" | sed "1,/^\r$/d"' "$ca" "$lab_dir"
get_with 4405 env NODE_EXTRA_CA_CERTS="$ca" node --no-warnings --input-type=module -e "$fetch" "$(url 4405)"
get_with 4406 /usr/bin/python3 "$lab_root/bench/netns/https-get.py" requests "$(url 4406 tag/4m.bin)" "$ca"
get_with 4407 /usr/bin/python3 "$lab_root/bench/netns/https-get.py" httpx "$(url 4407)" "$ca"
get_with 4408 bash -c 'aria2c -q -m1 -s4 -x4 -k1M --file-allocation=none --ca-certificate="$1" -d "$2" -o aria2.bin "$3" && cat "$2/aria2.bin"' - "$ca" "$lab_dir" "$(url 4408 20m.bin)"
# On a busy machine Apache ends a connection of git now and then without close_notify: until the cut it may begin again.
clone() { # PORT NAME=VALUE
	get_with "$1" env "GIT_SSL_CAINFO=$ca" GIT_CONFIG_GLOBAL=/dev/null "$2" bash -c 'until git clone -q "$1" "$2"; do [[ ! -e $3/cut ]] || exit 1; done; cat "$2/random.bin"' - "$(url "$1" git/files.git)" "$lab_dir/clone-$1" "$lab_dir"
}
clone 4409 GIT_SMART_HTTP=1
get_with 4410 "${curl[@]}" --http2 "$(url 4410)"
get_with 4411 /usr/bin/python3 "$lab_root/bench/netns/https-get.py" httpx "$(url 4411)" "$ca"
clone 4412 GIT_SMART_HTTP=0

for port in "${!client[@]}"; do
	wait_for 30 "'${client[$port]}' ($port) to be in the middle" https_sent "$port" 300000
done
https_have_keys "${!client[@]}"
pull_cable server
wait_for 10 "the takeover" taken_over
get_wait 40 "${!client[@]}"
cp "$lab_dir/tree/random.bin" "$lab_dir/www"
file=([4408]=20m.bin [4412]=random.bin) way_on=([4412]=digest)
for port in "${!client[@]}"; do
	fate=$(https_fates "$port")
	if ((port == 4409)); then
		# Two answers of upload-pack are seldom the same bytes, since its packets are what its pipe had. When they are, git has all.
		[[ $fate == "continued digest" ]] || fail "git clone: $fate"
		differs=content-differs
		[[ $(get_exit $port) != 0 ]] || { get_check $port random.bin && differs=''; }
		fate="refused content-differs, or continued digest when both are alike"
	else
		get_check "$port" "${file[$port]:-4m.bin}"
		[[ $fate == "continued ${way_on[$port]:-range}" ]] || fail "'${client[$port]}' ($port): $fate"
	fi
	in_matrix https "${old[$port]}" "${backup[$port]}" "${client[$port]}" body "$fate"
	((port == 4409)) || went_on+=("$port")
done
! grep Alert "$lab_dir/messages" | grep -v close_notify >&2 || fail "openssl s_client has got an alert"
refusals=$(jq -r 'select(.event == "connection-aborted" and .proven != "yes") | .reason' "$lab_dir/appliance.log" | paste -sd' ')
[[ $refusals == "$differs" ]] || fail "aborted: $refusals"
pass "${#went_on[@]} clients of ${#client[@]}, longest stall $(longest_stall "${went_on[@]}") ms"
