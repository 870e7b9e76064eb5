#!/usr/bin/env bash
# Downloads over TLS from nginx go on where the backup is another make: apache2, haproxy in front of nginx, lighttpd, nginx, each as its
# package comes, with TLS 1.3 and with 1.2, and each serves new clients on the same port.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
. "$(dirname "$0")/states.sh"
need openssl jq python3
lab_up
keytap_up
make_files 1k.bin 4m.bin
keyvault_up web1 10.9.0.1
vault_start --listen "$vault_at"
collector_start --vault "$vault_at" --wait-ms 2000
makes=([441]=nginx [442]=apache2 [443]=haproxy [444]=lighttpd)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$lab_dir/backup.key" -out "$lab_dir/backup.crt" \
	-days 2 -subj /CN=backup -addext subjectAltName=IP:10.9.0.1 2>/dev/null
cat "$lab_dir/backup.key" "$lab_dir/backup.crt" >"$lab_dir/backup.pem"
chmod 644 "$lab_dir"/backup.*

# nginx_on NAME CERTIFICATE PORT...
nginx_on() {
	local name=$1 certificate=$2 dir=$lab_dir/nginx-$1
	shift 2
	mkdir -p "$dir"
	nginx_config "$lab_dir/www" "$dir" "$name" | sed "s/listen 80 .*/listen 127.0.0.1:80; $(printf 'listen %s ssl; ' "$@")/; /listen \[::\]/d; s/sendfile on;/& etag off;/
		s|^http {|http { ssl_certificate $certificate.crt; ssl_certificate_key $certificate.key; ssl_protocols TLSv1.2 TLSv1.3;|" >"$dir/conf"
	in_ns_exec "$name" "${environment[@]}" "$(program nginx)" -p "$dir" -c "$dir/conf" -e "$dir/error.log" 2>>"$dir/error.log" &
}
environment=("${tapped[@]}")
nginx_on server "$lab_dir/tls" "${!makes[@]}"
environment=(env)
nginx_on backup "$lab_dir/backup" 441

mkdir "$lab_dir"/{apache2,haproxy,lighttpd}-backup
cat >"$lab_dir/apache2-backup/conf" <<END
ServerRoot $lab_dir/apache2-backup
ServerName localhost
PidFile $lab_dir/apache2-backup/pid
User www-data
Group www-data
ErrorLog $lab_dir/apache2-backup/error.log
Listen 442 https
$(for m in mpm_event authz_core socache_shmcb ssl; do echo "LoadModule ${m}_module /usr/lib/apache2/modules/mod_$m.so"; done)
SSLSessionCache shmcb:$lab_dir/apache2-backup/cache
SSLEngine on
SSLCertificateFile $lab_dir/backup.crt
SSLCertificateKeyFile $lab_dir/backup.key
FileETag None
DocumentRoot $lab_dir/www
END
cat >"$lab_dir/haproxy-backup/conf" <<END
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend tls
	bind 10.9.0.2:443 ssl crt $lab_dir/backup.pem alpn http/1.1
	default_backend nginx
backend nginx
	server one 127.0.0.1:80
END
cat >"$lab_dir/lighttpd-backup/conf" <<END
server.modules = ("mod_openssl")
server.document-root = "$lab_dir/www"
server.bind = "10.9.0.2"
server.port = 444
server.username = "www-data"
server.errorlog = "$lab_dir/lighttpd-backup/error.log"
mimetype.assign = ("" => "application/octet-stream")
static-file.etags = "disable"
ssl.engine = "enable"
ssl.pemfile = "$lab_dir/backup.pem"
END
chown www-data: "$lab_dir"/{apache2,lighttpd}-backup
backup_on() { # MAKE COMMAND...
	in_ns_exec backup "${@:2}" >"$lab_dir/$1-backup/out" 2>&1 &
}
backup_on apache2 "$(program apache2)" -DFOREGROUND -f "$lab_dir/apache2-backup/conf"
backup_on haproxy "$(program haproxy)" -db -f "$lab_dir/haproxy-backup/conf"
backup_on lighttpd "$(program lighttpd)" -D -f "$lab_dir/lighttpd-backup/conf"

lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'
for port in "${!makes[@]}"; do
	wait_for 10 "nginx on $port" in_ns client curl -skf -o /dev/null "https://10.9.0.1:$port/1k.bin"
	wait_for 10 "${makes[$port]}" in_ns box curl -skf -o /dev/null "https://10.9.0.2:$port/1k.bin"
	lab_services+=("{port: $port, protocol: https, keys: sealed, retain: 64MiB, backup_tls: {ca: $lab_dir/backup.crt}}")
done
lab_extra="keyvault: {vaults: [{address: \"$vault_at\"}], certificate: $vault_dir/recovery.crt, key: $vault_dir/recovery.key, ca: $vault_dir/ca.crt}"
appliance_start --debug
status() { jeebsctl status >"$lab_dir/status"; grep -q "$1" "$lab_dir/status"; }
wait_for 5 "the vault to be known" status "vault $vault_at: up"
wait_for 10 "every backup to be believed" in_ns box curl -sf -o /dev/null "http://$lab_metrics/readyz"
for port in "${!makes[@]}"; do
	for version in 1.2 1.3; do
		get_rate=250000 get "$port-$version" -k --local-port "4$port${version#1.}" --http1.1 "--tls-max" $version "https://10.9.0.1:$port/4m.bin" "https://10.9.0.1:$port/1k.bin"
		clients+=("$port-$version")
	done
done
for id in "${clients[@]}"; do wait_for 20 "the download '$id'" get_reached "$id" 250000; done
for port in "${!makes[@]}"; do wait_for 5 "the keys of port $port" status "web1:$port: 2 of 2 sessions have keys"; done
pull_cable server
wait_for 10 "the takeover" taken_over
for port in "${!makes[@]}"; do
	in_ns client curl -sf --cacert "$lab_dir/backup.crt" -o "$lab_dir/new" "https://10.9.0.1:$port/1k.bin" || fail "a new client of ${makes[$port]}: curl says $?"
	cmp -s "$lab_dir/new" "$lab_dir/www/1k.bin" || fail "a new client of ${makes[$port]} got something else"
done
get_hurry
get_wait 40 "${clients[@]}"
for id in "${clients[@]}"; do
	get_check "$id" 4m.bin 1k.bin
	version=${id#*-}
	expect_fate "4${id%-*}${version#1.}" "continued range"
	in_matrix https nginx "${makes[${id%-*}]}" "curl, TLS $version" body "continued range"
done
all_settled
((account_continued == ${#clients[@]})) || fail "$account_continued of ${#clients[@]} continued"
pass "${#clients[@]} downloads over TLS go on with ${makes[*]}"
