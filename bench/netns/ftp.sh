# FTP servers for the lab, alike as an operator would make them: the same files, the same users.
# Sourced after lib.sh.
#
#	ftp_files NAME...               files of make_files, for both servers (one directory each)
#	start_ftp vsftpd|proftpd NAME   in the namespace of that name, on port 21, both families; a
#	                                vsftpd with $ftp_public: IPv4 only, and 227 names that address
#	                                with $ftp_cert, a file: in TLS, too, where the client asks for it;
#	                                with $ftp_implicit: from the first byte on, on port 990; then, and
#	                                if several are in one namespace, $ftp_at tells them apart. ${ftp_env[@]} is
#	                                put before its command
#
# Users: anonymous, who may also upload below /incoming; jeeb with the password "Secret 1".
# /etc is not touched: what vsftpd wants there is mounted for it alone.

ftp_password='Secret 1'
ftp_uid=$(id -u ftp 2>/dev/null || echo 65534)
ftp_gid=$(id -g ftp 2>/dev/null || echo 65534)

# Downloads are fast: no packet may be missing that the cuts are judged by.
lab_record() { lab_capture box.pcap -s 66000 -B 131072; }

ftp_need() {
	need vsftpd proftpd curl lftp tnftp openssl
}

# ftp_files NAME...: into the tree that both servers have a copy of.
ftp_files() {
	mkdir -p "$lab_dir/www"
	make_files "$@"
}

# What is in the middle is not all on its way already.
ftp_small_buffers() {
	in_ns client sysctl -qw net.ipv4.tcp_rmem='4096 65536 131072'
	in_ns server sysctl -qw net.ipv4.tcp_wmem='4096 65536 131072'
}

# ftp_check_gets CLIENT...: each has got 100k.bin. ftp_check_puts CLIENT...: each has ended well, and its 600k.bin is on the backup.
ftp_check_gets() {
	local c
	for c; do
		cmp -s "$lab_dir/get/$c.bin" "$lab_dir/www/100k.bin" || fail "$c: wrong bytes: $(get_error "$c")"
	done
}
ftp_check_puts() {
	local c
	for c; do
		[[ $(get_exit "$c") == 0 ]] || fail "$c: exit $(get_exit "$c"): $(get_error "$c")"
		cmp -s "$lab_dir/ftp-backup/incoming/$c.bin" "$lab_dir/www/600k.bin" || fail "$c: another file on the backup"
	done
}

# ftp_tree NAME: that server's own copy, in $lab_dir/ftp-NAME.
ftp_tree() {
	local tree=$lab_dir/ftp-$1
	mkdir -p "$tree/pub" "$tree/incoming"
	cp -p "$lab_dir"/www/* "$tree/pub/"
	chown "$ftp_uid:$ftp_gid" "$tree/incoming"
	touch -d '2026-01-01 00:00:00 UTC' "$tree" "$tree/pub" "$tree/incoming"
}

# start_ftp KIND NAME: its process id in $ftp_NAME.
ftp_env=()
start_ftp() {
	local dir=$lab_dir/server-$2${ftp_at:-}
	ftp_tree "$2"
	mkdir -p "$dir"
	"start_$1" "$2" "$dir" "$lab_dir/ftp-$2"
	wait_for 5 "$1 on $2" in_ns "$2" curl -sfk --max-time 1 -o /dev/null "ftp${ftp_implicit:+s}://127.0.0.1/pub/"
}

start_vsftpd() {
	local name=$1 dir=$2 tree=$3
	cat /etc/passwd - >"$dir/passwd" <<<"jeeb:x:$ftp_uid:$ftp_gid::$tree:/bin/sh"
	cat /etc/shadow - >"$dir/shadow" <<<"jeeb:$(openssl passwd -6 "$ftp_password"):20000::::::"
	chmod 600 "$dir/shadow"
	cat >"$dir/pam" <<END
auth required pam_unix.so
account required pam_permit.so
session required pam_permit.so
END
	# Not isolated: what it leaves behind is found in its namespace, and ended with it.
	cat >"$dir/conf" <<END
$([[ ${ftp_public:-} ]] && echo listen=YES || echo listen_ipv6=YES)
background=NO
seccomp_sandbox=NO
isolate_network=NO
pam_service_name=vsftpd
secure_chroot_dir=$dir/empty
anonymous_enable=YES
ftp_username=ftp
anon_root=$tree
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_umask=022
anon_world_readable_only=NO
chown_uploads=NO
local_enable=YES
local_root=$tree
write_enable=YES
chroot_local_user=YES
allow_writeable_chroot=YES
connect_from_port_20=YES
xferlog_enable=NO
use_localtime=NO
check_shell=NO
idle_session_timeout=120
isolate=NO
isolate_network=NO
${ftp_rate:+anon_max_rate=$ftp_rate
local_max_rate=$ftp_rate}
${ftp_public:+pasv_address=$ftp_public}
${ftp_cert:+ssl_enable=YES
allow_anon_ssl=YES
force_local_logins_ssl=NO
force_local_data_ssl=NO
require_ssl_reuse=${ftp_reuse:-NO}
ssl_ciphers=HIGH
rsa_cert_file=$ftp_cert}
${ftp_implicit:+implicit_ssl=YES
listen_port=990}
END
	mkdir -p "$dir/empty"
	in_ns_exec "$name" unshare -m sh -c "mount --bind $dir/pam /etc/pam.d/vsftpd && mount --bind $dir/passwd /etc/passwd &&
		mount --bind $dir/shadow /etc/shadow && exec ${ftp_env[*]} $(program vsftpd) $dir/conf" >"$dir/log" 2>&1 &
	printf -v "ftp_$name" %s "$!"
}

start_proftpd() {
	local name=$1 dir=$2 tree=$3 hash ftp_options
	ftp_options="$([[ ${ftp_reuse:-} ]] || echo NoSessionReuseRequired) ${ftp_implicit:+UseImplicitSSL}"
	[[ $ftp_options == " " ]] && ftp_options=
	hash=$(openssl passwd -1 "$ftp_password")
	cat >"$dir/users" <<END
jeeb:$hash:$ftp_uid:$ftp_gid::$tree:/bin/sh
anon:!:$ftp_uid:$ftp_gid::$tree:/bin/sh
END
	echo "nogroup:x:$ftp_gid:" >"$dir/groups"
	chmod 600 "$dir/users" "$dir/groups"
	cat >"$dir/conf" <<END
${ftp_cert:+ModulePath $(unpacked proftpd-mod-crypto /usr/lib/proftpd)
LoadModule mod_tls.c}
ServerName lab
ServerType standalone
DefaultServer on
UseIPv6 on
Port $([[ ${ftp_implicit:-} ]] && echo 990 || echo 21)
User nobody
Group nogroup
PidFile $dir/pid
ScoreboardFile $dir/scoreboard
DelayTable $dir/delay
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
AllowOverwrite on
AllowStoreRestart on
AllowRetrieveRestart on
TimesGMT on
UseSendfile off
DefaultRoot ~
Umask 022
${ftp_rate:+TransferRate RETR $((ftp_rate / 1024))}
${ftp_cert:+TLSEngine on
TLSLog $dir/tls.log
TLSProtocol TLSv1.2 TLSv1.3
${ftp_options:+TLSOptions $ftp_options}
TLSECCertificateFile $ftp_cert
TLSECCertificateKeyFile $ftp_cert}
<Anonymous $tree>
	User anon
	Group nogroup
	UserAlias anonymous anon
	UserAlias ftp anon
	AnonRequirePassword off
	RequireValidShell off
</Anonymous>
END
	in_ns_exec "$name" "${ftp_env[@]}" "$(program proftpd)" -n -q -c "$dir/conf" >"$dir/out" 2>&1 &
	printf -v "ftp_$name" %s "$!"
}

# ---- clients ---------------------------------------------------------------------------------

# ftp_put ID FILE PATH CURL-ARGUMENTS...: an upload in the background.
ftp_put() {
	local id=$1 file=$2 path=$3 base=$lab_dir/get/$1
	shift 3
	(
		set +e
		in_ns client curl -sS "$@" -T "$file" "ftp://10.9.0.1/$path" 2>"$base.err"
		echo $? >"$base.exit.new"
		mv "$base.exit.new" "$base.exit"
	) &
}

# So many bytes of it have come to the old server.
ftp_uploaded() {
	local n
	n=$(stat -c %s "$lab_dir/ftp-server/incoming/$1.bin" 2>/dev/null || echo 0)
	((n >= $2))
}

# ftp_client ID PROGRAM...: one that reads commands, told by ftp_tell; what it says is in get/ID.out.
ftp_client() {
	local id=$1 base=$lab_dir/get/$1
	shift
	mkfifo "$base.fifo"
	(
		set +e
		in_ns client "$@" <"$base.fifo" >"$base.out" 2>"$base.err"
		echo $? >"$base.exit.new"
		mv "$base.exit.new" "$base.exit"
	) &
	exec {ftp_fd}>"$base.fifo"
	printf -v "ftp_fd_$id" %s "$ftp_fd"
}

ftp_tell() {
	local fd=ftp_fd_$1
	printf '%s\n' "$2" >&"${!fd}"
}

ftp_said() { grep -q -- "$2" "$lab_dir/get/$1.out"; }

# ftp_continued REASON COUNT: so many conversations were continued for that reason.
ftp_continued() {
	local n
	n=$(grep -F '"event":"connection-continued"' "$lab_dir/appliance.log" | grep -F '"module":"ftp"' | grep -cF "\"reason\":\"$1\"" || true)
	((n == $2)) || fail "$n continued as '$1', not $2"
}
