# HTTP servers, for scenarios that continue between them. Sourced after lib.sh.
#
# Each serves $lab_dir/www on the ports given:
# nginx, apache2 and lighttpd:
#	/F        the file, with its date as the only validator, so that the makes agree
#	/tag/F    also with an ETag, as its make makes one
#	/gzip/F   compressed while it is sent
#	/slow/F   nginx, with http_pace: at 100 bytes a second behind the first 4 kB
#	/pad/F    a head of about 9000 bytes
#	/put/F    takes a PUT; the file is then in $lab_dir/put-NAME-MAKE
#	/post/post.sh   takes a POST, all of it before it answers
# caddy, h2o, webfs, mini_httpd and python, as their packages come: /tag/F only, and by one port each.
# haproxy: in front of the nginx beside it, which has to be there, with a port in the clear (http_clear).
#
# What holds for the servers started from now on:
http_tls=       # in TLS with this certificate ($http_tls.crt, $http_tls.key), with HTTP/2 for who wants it: nginx, apache2, haproxy, lighttpd, caddy
http_env=()     # their environment: the key tap
http_pace=      # what is behind the first 300 kB of an answer comes at 10 kB/s: nginx, apache2; lighttpd: all of it at 50 kB/s
http_sink=      # nginx: a port that takes what is uploaded, and is asked for /later/F
http_only_1=    # nginx: ports without HTTP/2
http_clear=     # nginx: a port in the clear besides
http_git=       # apache2: a directory of repositories, as /git/

# http_server NAME MAKE PORT...: in the namespace of that name.
http_server() {
	local name=$1 make=$2 dir=$lab_dir/$2-$1 put=$lab_dir/put-$1-$2 pad run=() scheme=http${http_tls:+s}
	shift 2
	((${#http_env[@]} == 0)) || run=(env "${http_env[@]}")
	mkdir -p "$dir" "$put/put"
	chown www-data: "$dir" "$put" "$put/put"
	printf -v pad '%03000d' 0
	"http_$make" "$dir" "$put" "$pad" "$@" >"$dir/conf"
	case $make in
	nginx) in_ns_exec "$name" "${run[@]}" "$(program nginx)" -p "$dir" -c "$dir/conf" -e "$dir/error.log" ;;
	apache2) in_ns_exec "$name" "${run[@]}" "$(program apache2)" -DFOREGROUND -f "$dir/conf" ;;
	lighttpd) in_ns_exec "$name" "${run[@]}" "$(program lighttpd)" -D -f "$dir/conf" ;;
	haproxy) in_ns_exec "$name" "${run[@]}" "$(program haproxy)" -db -f "$dir/conf" ;;
	caddy) HOME=$dir XDG_DATA_HOME=$dir XDG_CONFIG_HOME=$dir in_ns_exec "$name" "$(unpacked caddy /usr/bin/caddy)" run --adapter caddyfile --config "$dir/conf" ;;
	h2o) in_ns_exec "$name" "$(unpacked h2o /usr/bin/h2o)" -m worker -c "$dir/conf" ;;
	webfs) in_ns_exec "$name" "$(unpacked webfs /usr/bin/webfsd)" -F -4 -p "$1" -r "$lab_dir/www" -u www-data -g www-data ;;
	mini_httpd) in_ns_exec "$name" "$(unpacked mini-httpd /usr/sbin/mini_httpd)" -D -C "$dir/conf" ;;
	python) in_ns_exec "$name" python3 -m http.server -d "$lab_dir/www" "$1" ;;
	esac >"$dir/out" 2>&1 &
	disown # it lives in the namespace, and ends with it
	for port; do
		wait_for 20 "$make on $name" in_ns "$name" curl -skf -o /dev/null "$scheme://127.0.0.1:$port/tag/1k.bin"
	done
}

http_nginx() {
	local dir=$1 put=$2 pad=$3 port
	shift 3
	cat <<END
daemon off;
user www-data;
worker_processes 1;
pid $dir/pid;
events { worker_connections 1024; }
http {
	access_log $dir/access.log;
	client_body_temp_path $put/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	types { text/html html; }
	default_type application/octet-stream;
	client_max_body_size 0;
	${http_pace:+limit_rate_after 300k; limit_rate 10k;}
	${http_tls:+ssl_certificate $http_tls.crt; ssl_certificate_key $http_tls.key; ssl_protocols TLSv1.2 TLSv1.3;}
	server {
$(for port; do echo "listen $port ${http_tls:+ssl $([[ " $http_only_1 " == *" $port "* ]] || echo http2)};"; done)
		${http_clear:+listen 127.0.0.1:$http_clear;}
		root $lab_dir/www;
		etag off;
		location /tag/ { alias $lab_dir/www/; etag on; }
		location /gzip/ { alias $lab_dir/www/; etag on; gzip on; gzip_types *; gzip_min_length 0; }
		location /slow/ { alias $lab_dir/www/; ${http_pace:+limit_rate_after 4k; limit_rate 100;} }
		location /later/ { ${http_sink:+proxy_pass http://127.0.0.1:$http_sink;} alias $lab_dir/www/; }
		location /pad/ { alias $lab_dir/www/; add_header X-Pad-1 $pad; add_header X-Pad-2 $pad; add_header X-Pad-3 $pad; }
		location /put/ { $([[ $http_sink ]] && echo "proxy_request_buffering off; proxy_pass http://127.0.0.1:$http_sink;" || echo "root $put; dav_methods PUT;") }
		location /post/ { proxy_pass http://127.0.0.1:9/; }
	}
}
END
}

http_apache2() {
	local dir=$1 put=$2 pad=$3 m
	shift 3
	cat <<END
ServerRoot $dir
ServerName localhost
PidFile $dir/pid
User www-data
Group www-data
ErrorLog $dir/error.log
$(printf 'Listen %s\n' "$@")
$(for m in mpm_event authz_core alias dav dav_fs headers deflate filter cgid ${http_tls:+socache_shmcb ssl http2} ${http_pace:+ratelimit} $([[ -z $http_git$http_pace ]] || echo env); do echo "LoadModule ${m}_module /usr/lib/apache2/modules/mod_$m.so"; done)
ScriptSock $dir/cgi
$([[ ! $http_tls ]] || printf '%s\n' "Protocols h2 http/1.1" "SSLSessionCache shmcb:$dir/cache" "SSLEngine on" "SSLCertificateFile $http_tls.crt" "SSLCertificateKeyFile $http_tls.key")
DavLockDB $dir/lock
LimitRequestBody 0
KeepAliveTimeout 60
DocumentRoot $lab_dir/www
FileETag None
ForceType application/octet-stream
Alias /tag $lab_dir/www
Alias /gzip $lab_dir/www
Alias /pad $lab_dir/www
Alias /put $put/put
ScriptAliasMatch ^/post/ $lab_dir/post.sh
<Directory />
	Require all granted
</Directory>
<Location /tag>
	FileETag All
</Location>
<Location /gzip>
	FileETag All
	SetOutputFilter DEFLATE
</Location>
$([[ ! $http_pace ]] || printf '%s\n' "<Location />" "SetOutputFilter RATE_LIMIT" "SetEnv rate-limit 10" "SetEnv rate-initial-burst 300" "</Location>")
$([[ ! $http_git ]] || printf '%s\n' "ScriptAlias /git/ $(git --exec-path)/git-http-backend/" "<Location /git>" "SetEnv GIT_PROJECT_ROOT $http_git" "SetEnv GIT_HTTP_EXPORT_ALL 1" "</Location>")
<Location /pad>
	Header set X-Pad-1 $pad
	Header set X-Pad-2 $pad
	Header set X-Pad-3 $pad
</Location>
<Location /put>
	Dav On
</Location>
END
}

http_lighttpd() {
	local dir=$1 put=$2 pad=$3 port
	shift 3
	cat <<END
server.modules = (${http_tls:+\"mod_openssl\", }"mod_alias", "mod_setenv", "mod_deflate", "mod_webdav", "mod_cgi")
server.document-root = "$lab_dir/www"
server.port = $1
server.username = "www-data"
server.max-keep-alive-idle = 60
server.errorlog = "$dir/error.log"
server.upload-dirs = ("$put")
mimetype.assign = ("" => "application/octet-stream")
static-file.etags = "disable"
alias.url = ("/tag/" => "$lab_dir/www/", "/gzip/" => "$lab_dir/www/", "/pad/" => "$lab_dir/www/", "/put/" => "$put/put/", "/post/" => "$lab_dir/")
\$HTTP["url"] =~ "^/(tag|gzip)/" { static-file.etags = "enable" }
\$HTTP["url"] =~ "^/gzip/" { deflate.allowed-encodings = ("gzip") deflate.mimetypes = ("application/octet-stream") }
\$HTTP["url"] =~ "^/pad/" { setenv.set-response-header = ("X-Pad-1" => "$pad", "X-Pad-2" => "$pad", "X-Pad-3" => "$pad") }
\$HTTP["url"] =~ "^/put/" { webdav.activate = "enable" }
\$HTTP["url"] =~ "^/post/" { cgi.assign = (".sh" => "/bin/sh") }
END
	[[ ! $http_tls ]] || printf '%s = "%s"\n' ssl.engine enable ssl.pemfile "$http_tls.crt" ssl.privkey "$http_tls.key"
	[[ ! $http_pace ]] || echo 'connection.kbytes-per-second = 50'
	shift
	for port; do echo "\$SERVER[\"socket\"] == \":$port\" { ${http_tls:+ssl.engine = \"enable\"} }"; done
}

http_haproxy() {
	cat "$http_tls.key" "$http_tls.crt" >"$1/pem"
	cat <<END
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend tls
$(printf "\tbind :%s ssl crt $1/pem alpn h2,http/1.1\n" "${@:4}")
	default_backend nginx
backend nginx
	server one 127.0.0.1:$http_clear
END
}

http_caddy() {
	local port
	echo '{'
	printf '\t%s\n' "admin off" "auto_https off" "default_sni 10.9.0.1"
	echo '}'
	for port in "${@:4}"; do
		printf '%s:%s {\n\t%s\n\troot * %s\n\tfile_server\n}\n' "${http_tls:+https://}" "$port" "${http_tls:+tls $http_tls.crt $http_tls.key}" "$lab_dir/www"
	done
}

http_h2o() {
	printf 'user: www-data\nerror-log: %s\n' "$1/error.log"
	printf 'listen:\n  port: %s\n' "${@:4}"
	printf 'hosts:\n  default:\n    paths:\n      /:\n        file.dir: %s\n' "$lab_dir/www"
}

http_mini_httpd() { printf '%s\n' "port=$4" "dir=$lab_dir/www" "data_dir=$lab_dir/www" user=www-data "pidfile=$1/pid" "logfile=$1/log" charset=UTF-8; }

# By its arguments.
http_webfs() { :; }
http_python() { :; }

# What takes a POST.
http_post_script() {
	printf '%s\n' '#!/bin/sh' 'sum=$(sha256sum)' "printf 'Content-Type: text/plain\\r\\n\\r\\n%s\\n' \"\$sum\"" >"$lab_dir/post.sh"
	chmod 755 "$lab_dir/post.sh"
}

# get_gated ID PROGRAM...: after 400000 bytes it makes the mark ID, and nobody reads on until the mark `after`.
get_gated() {
	local id=$1
	shift
	get_with "$id" bash -o pipefail -c '"${@:2}" | { head -c 400000; : >"${1%/*}/$0"; until [[ -e $1 ]]; do sleep 0.01; done; cat; }' \
		"$id" "$lab_dir/marks/after" "$@"
}

# put_gated ID FILE CURL-ARGUMENTS...: the same with an upload, of which half is sent.
put_gated() {
	local id=$1 file=$2 size
	size=$(stat -c %s "$file")
	shift 2
	get_with "$id" bash -o pipefail -c '{ head -c "$3" "$2"; until [[ -e $1 ]]; do sleep 0.01; done; tail -c "+$(($3 + 1))" "$2"; } | "${@:4}"' \
		- "$lab_dir/marks/after" "$file" $((size / 2)) \
		curl -sS --fail -T - -H "Transfer-Encoding:" -H "Content-Length: $size" "$@"
}
