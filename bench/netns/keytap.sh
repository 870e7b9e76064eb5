# Stock servers of Debian with the key tap, for scenarios. Sourced after lib.sh.
#
#	keytap_up                 the certificate tls, the collector's socket in $keytap_socket
#	keytap_collect OPTION...  the collector; what it says is in $lab_dir/records
#	tapped_MAKE PORT          a server of that make on 10.9.0.1, with the tap loaded
#
# Nothing of /etc is touched: what a server wants there is mounted for it alone.

keytap_library=$JEEBS_BUILD/keyvault/tap/libjeebs-keytap.so

keytap_up() {
	[[ -e $keytap_library ]] || fail "no $keytap_library"
	keytap_socket=$lab_dir/tap.sock
	tapped=(env "LD_PRELOAD=$keytap_library" "JEEBS_KEYTAP=$keytap_socket")
	tls_certificate tls lab
}

# tls_certificate FILE NAME: $lab_dir/FILE.{crt,key,pem}, for 10.9.0.1, web.lab and NAME.
tls_certificate() {
	"$(program openssl)" req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$lab_dir/$1.key" -out "$lab_dir/$1.crt" \
		-days 2 -subj "/CN=$2" -addext "subjectAltName=DNS:$2,DNS:web.lab,IP:10.9.0.1" 2>/dev/null
	cat "$lab_dir/$1.key" "$lab_dir/$1.crt" >"$lab_dir/$1.pem"
	chmod 644 "$lab_dir/$1".{key,crt,pem}
}

# keytap_provided: the tap not preloaded but a provider, told of in the openssl.cnf that servers started from now on find;
# their environment is empty.
keytap_provided() {
	cat >"$lab_dir/openssl.cnf" <<END
openssl_conf = init
[init]
providers = providers
alg_section = algorithms
[providers]
default = own
jeebs-keytap = keytap
[own]
activate = 1
[keytap]
module = $keytap_library
socket = $keytap_socket
activate = 1
[algorithms]
default_properties = ?provider=jeebs-keytap
END
	printf '%s\n' '#!/bin/sh' "mount --bind $lab_dir/openssl.cnf /etc/ssl/openssl.cnf && exec env -i \"\$@\"" >"$lab_dir/provided"
	chmod 755 "$lab_dir/provided"
	tapped=(unshare -m "$lab_dir/provided")
}

# It goes before all others: what it does late on a busy machine would not be the tap's fault.
keytap_collect() {
	rm -f "$keytap_socket" "$lab_dir/records"
	in_ns_exec server chrt -f 1 python3 "$lab_root/keyvault/tap/test/collector.py" --socket "$keytap_socket" "$@" >"$lab_dir/records" 2>"$lab_dir/collector.log" &
	keytap_collector=$!
	wait_for 5 "the collector" test -S "$keytap_socket"
}

# keytap_proof: what the capture proves of the records (keytap-prove.py), for each port; in $lab_dir/proof.
keytap_proof() {
	[[ ! -s $lab_dir/collector.log ]] || fail "the collector: $(tail -n1 "$lab_dir/collector.log")"
	grep -q malformed "$lab_dir/records" && fail "malformed: $(grep malformed "$lab_dir/records" | head -n1)"
	python3 "$lab_root/bench/netns/keytap-prove.py" "$lab_dir/box.pcap" "$lab_dir/records" "$lab_dir/keylog" >"$lab_dir/proof" 2>"$lab_dir/proof.err" ||
		fail "no proof: $(tail -n1 "$lab_dir/proof.err")"
}

# keytap_told PORT CONDITION: of jq.
keytap_told() {
	[[ $(jq ".[\"$1\"] | $2" "$lab_dir/proof") == true ]] || fail "port $1: not $2: $(jq -c ".[\"$1\"]" "$lab_dir/proof")"
}

# keytap_ssh_config: for the client, whose keys are those of tapped_sshd.
keytap_ssh_config() {
	cat >"$lab_dir/ssh_config" <<END
Host *
	HostName 10.9.0.1
	IdentityFile $lab_dir/sshd/key
	StrictHostKeyChecking no
	UserKnownHostsFile /dev/null
	LogLevel ERROR
	BatchMode yes
	ConnectTimeout 10
END
}

# tapped_run MAKE PORT COMMAND...: in the background, until the port listens.
tapped_run() {
	local make=$1 port=$2
	shift 2
	in_ns_exec server "$@" >"$lab_dir/$make.out" 2>&1 </dev/null &
	tapped_pids[$make]=$!
	disown
	tapped_ports+=("$make:$port")
}
tapped_ports=()
declare -A tapped_pids=()
tapped_listen() {
	local it
	for it in "${tapped_ports[@]}"; do
		wait_for 10 "${it%:*} to listen" tapped_listens "${it#*:}"
	done
}
tapped_listens() { in_ns server ss -Htln "sport = :$1" | grep -q .; }

tapped_nginx() {
	local dir=$lab_dir/nginx
	mkdir -p "$dir"
	cat >"$dir/conf" <<END
daemon off;
user www-data;
worker_processes 2;
pid $dir/pid;
events { }
http {
	access_log off;
	keepalive_timeout 600;
	ssl_certificate $lab_dir/tls.crt;
	ssl_certificate_key $lab_dir/tls.key;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_cache shared:all:1m;
	server {
		listen $1 ssl;
		listen [::]:$1 ssl;
		listen 127.0.0.1:80;
		location / { return 200 nginx; }
	}
}
END
	tapped_run nginx "$1" "${tapped[@]}" "$(program nginx)" -c "$dir/conf" -e "$dir/error.log"
}

# backup_nginx PORT: on the backup, what tapped_nginx answers, without TLS.
backup_nginx() {
	local dir=$lab_dir/backup-nginx
	mkdir -p "$dir"
	cat >"$dir/conf" <<END
daemon off;
worker_processes 1;
pid $dir/pid;
events { }
http {
	access_log off;
	server {
		listen $1;
		location / { return 200 nginx; }
	}
}
END
	in_ns_exec backup "$(program nginx)" -c "$dir/conf" -e "$dir/error.log" 2>>"$dir/error.log" &
	wait_for 5 "the backup's nginx" in_ns box curl -sf -o /dev/null "http://10.9.0.2:$1/"
}

tapped_apache2() {
	local dir=$lab_dir/apache2
	mkdir -p "$dir"
	cat >"$dir/conf" <<END
ServerRoot $dir
ServerName localhost
PidFile $dir/pid
User www-data
Group www-data
ErrorLog $dir/error.log
Listen 0.0.0.0:$1 https
StartServers 2
$(for m in mpm_event authz_core dir socache_shmcb ssl; do echo "LoadModule ${m}_module /usr/lib/apache2/modules/mod_$m.so"; done)
SSLSessionCache shmcb:$dir/cache
SSLEngine on
SSLCertificateFile $lab_dir/tls.crt
SSLCertificateKeyFile $lab_dir/tls.key
DocumentRoot $dir
FallbackResource /conf
END
	tapped_run apache2 "$1" "${tapped[@]}" "$(program apache2)" -DFOREGROUND -f "$dir/conf"
}

# Its clients have to say hello twice (TLS 1.3).
# In its chroot it does not find a collector that is started anew, until it is reloaded.
keytap_chroot=yes
tapped_haproxy() {
	local dir=$lab_dir/haproxy
	mkdir -p "$dir/empty"
	cat >"$dir/conf" <<END
global
	master-worker
	nbthread 3
	user www-data
	group www-data
	${keytap_chroot:+chroot $dir/empty}
defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 10s
frontend tls
	bind 10.9.0.1:$1 ssl crt $lab_dir/tls.pem alpn http/1.1 curves P-384
	http-request return status 200 content-type text/plain string haproxy
END
	tapped_run haproxy "$1" "${tapped[@]}" "$(program haproxy)" -W -db -f "$dir/conf"
}

tapped_lighttpd() {
	local dir=$lab_dir/lighttpd
	mkdir -p "$dir"
	chown www-data: "$dir"
	cat >"$dir/conf" <<END
server.modules = ("mod_openssl")
server.document-root = "$dir"
server.bind = "10.9.0.1"
server.port = $1
server.username = "www-data"
server.errorlog = "$dir/error.log"
ssl.engine = "enable"
ssl.pemfile = "$lab_dir/tls.pem"
ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.2")
index-file.names = ("conf")
END
	tapped_run lighttpd "$1" "${tapped[@]}" "$(program lighttpd)" -D -f "$dir/conf"
}

# In front of nginx.
tapped_stunnel() {
	local dir=$lab_dir/stunnel
	mkdir -p "$dir"
	cat >"$dir/conf" <<END
foreground = yes
pid =
setuid = nobody
setgid = nogroup
[https]
accept = 10.9.0.1:$1
connect = 127.0.0.1:80
cert = $lab_dir/tls.pem
END
	tapped_run stunnel "$1" "${tapped[@]}" "$(program stunnel4)" "$dir/conf"
}

# With a key log of its own.
tapped_openssl() {
	tapped_run openssl "$1" "${tapped[@]}" "$(program openssl)" s_server -accept "10.9.0.1:$1" -www -quiet -cert "$lab_dir/tls.crt" -key "$lab_dir/tls.key" \
		-keylogfile "$lab_dir/own.keylog"
}

# With its sandbox and each session isolated, as they are by default.
tapped_vsftpd() {
	local dir=$lab_dir/vsftpd
	mkdir -p "$dir/empty" "$dir/files"
	echo vsftpd >"$dir/files/file"
	cat >"$dir/conf" <<END
listen=YES
listen_port=$1
background=NO
isolate_network=NO
secure_chroot_dir=$dir/empty
anonymous_enable=YES
ftp_username=ftp
anon_root=$dir/files
use_localtime=NO
ssl_enable=YES
allow_anon_ssl=YES
require_ssl_reuse=NO
ssl_ciphers=HIGH
rsa_cert_file=$lab_dir/tls.pem
END
	tapped_run vsftpd "$1" "${tapped[@]}" "$(program vsftpd)" "$dir/conf"
}

tapped_proftpd() {
	local dir=$lab_dir/proftpd modules
	modules=$(unpacked proftpd-mod-crypto /usr/lib/proftpd)
	mkdir -p "$dir/files"
	echo proftpd >"$dir/files/file"
	cat >"$dir/conf" <<END
ModulePath $modules
LoadModule mod_tls.c
ServerName lab
ServerType standalone
DefaultServer on
DefaultAddress 10.9.0.1
Port $1
User nobody
Group nogroup
PidFile $dir/pid
ScoreboardFile $dir/scoreboard
DelayEngine off
ServerLog $dir/server.log
SystemLog $dir/log
TransferLog none
WtmpLog off
UseReverseDNS off
RequireValidShell off
AuthOrder mod_auth_file.c
AuthUserFile $dir/users
AuthGroupFile $dir/groups
TLSEngine on
TLSLog $dir/tls.log
TLSProtocol TLSv1.2 TLSv1.3
TLSOptions NoSessionReuseRequired
TLSCertificateChainFile $lab_dir/tls.crt
TLSRSACertificateFile none
TLSECCertificateFile $lab_dir/tls.crt
TLSECCertificateKeyFile $lab_dir/tls.key
<Anonymous $dir/files>
	User ftper
	Group nogroup
	UserAlias anonymous ftper
	AnonRequirePassword off
	RequireValidShell off
</Anonymous>
END
	sed -i '/ChainFile\|RSACertificateFile none/d' "$dir/conf"
	echo "ftper:!:65534:65534::$dir/files:/bin/sh" >"$dir/users"
	echo "nogroup:x:65534:" >"$dir/groups"
	chmod 600 "$dir/users" "$dir/groups"
	tapped_run proftpd "$1" "${tapped[@]}" "$(program proftpd)" -n -q -c "$dir/conf"
}

# Its master gives its children only what it is told to.
tapped_postfix() {
	mail_postfix postfix "$1"
	local dir=$mail_root/postfix
	sed -i 's/^import_environment = .*/& LD_PRELOAD JEEBS_KEYTAP/' "$dir/etc/main.cf"
	cat >>"$dir/etc/main.cf" <<END
smtpd_tls_security_level = may
smtpd_tls_chain_files = $lab_dir/tls.pem
tls_random_source = dev:/dev/urandom
notify_classes =
END
	echo "tlsmgr unix - - n 1000? 1 tlsmgr" >>"$dir/etc/master.cf"
	mail_argv postfix postfix
	tapped_run postfix "$1" "${tapped[@]}" "${mail_argv[@]}"
}

# Linked with GnuTLS.
tapped_exim() {
	mail_exim exim "$1"
	local dir=$mail_root/exim
	sed -i "s|^tls_advertise_hosts =.*|tls_advertise_hosts = *\ntls_certificate = $lab_dir/tls.pem\nkeep_environment = LD_PRELOAD : JEEBS_KEYTAP|" "$dir/exim.conf"
	mail_argv exim exim
	tapped_run exim "$1" "${tapped[@]}" "${mail_argv[@]}"
}

# sshd as it comes, with PAM and its sandbox: root and the user "jeeb" (uid 4242) log in with $lab_dir/sshd/key.
tapped_sshd() {
	[[ -e $lab_dir/sshd/conf ]] || sshd_files
	sshd_run sshd "$1" "${tapped[@]}"
}
# sshd_run NAME PORT COMMAND...: by that command.
sshd_run() {
	local dir=$lab_dir/sshd
	tapped_run "$1" "$2" unshare -m "$(program sh)" -c "mount -t tmpfs run /run && mkdir /run/sshd && mount --bind $dir/passwd /etc/passwd &&
		mount --bind $dir/shadow /etc/shadow && exec ${*:3} $(program sshd) -D -e -f $dir/conf -p $2"
}
sshd_files() {
	local dir=$lab_dir/sshd
	mkdir -p "$dir/home"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/host"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
	cp "$dir/key.pub" "$dir/authorized"
	chmod 644 "$dir/authorized"
	chown 4242:4242 "$dir/home"
	cat /etc/passwd - >"$dir/passwd" <<<"jeeb:x:4242:4242::$dir/home:/bin/sh"
	cat /etc/shadow - >"$dir/shadow" <<<'jeeb:*:20000::::::'
	chmod 600 "$dir/shadow"
	cat >"$dir/conf" <<END
ListenAddress 10.9.0.1
HostKey $dir/host
AuthorizedKeysFile $dir/authorized
PidFile none
StrictModes no
PermitRootLogin prohibit-password
KexAlgorithms +diffie-hellman-group16-sha512
UsePAM yes
MaxStartups 100
Subsystem sftp internal-sftp
END
}
