#!/usr/bin/env bash
# Mail over implicit TLS: postfix, and exim behind stunnel (its own TLS is GnuTLS, which has no tap), each continued by the other,
# with curl, swaks and msmtp; mailboxes of dovecot, by POP3 and IMAP, with curl and fetchmail. The server dies in the middle of each.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/https.sh"
. "$(dirname "$0")/mail.sh"
lab_init
need swaks msmtp exim4 master stunnel4 dovecot fetchmail python3
mail_root=$lab_dir
lab_up
mkdir "$lab_dir/marks"
https_up

# ---- servers: 465 postfix, then exim; 466 exim behind stunnel, then postfix; 995 and 993 dovecot ----

over_tls() { # NAME CERTIFICATE PORT: postfix
	sed -i "s|^import_environment = .*|& LD_PRELOAD JEEBS_KEYTAP|" "$lab_dir/$1/etc/main.cf"
	printf '%s\n' "smtpd_tls_chain_files = $2.pem" "tls_random_source = dev:/dev/urandom" "notify_classes =" >>"$lab_dir/$1/etc/main.cf"
	sed -i "s/^$3 inet .*/& -o smtpd_tls_wrappermode=yes/" "$lab_dir/$1/etc/master.cf"
	echo "tlsmgr unix - - n 1000? 1 tlsmgr" >>"$lab_dir/$1/etc/master.cf"
}
mail_run() { # NAMESPACE exim|postfix ENVIRONMENT...
	local namespace=$1 make=$2
	mail_argv "$make" "$make-$namespace"
	in_ns_exec "$namespace" env "${@:3}" "${mail_argv[@]}" 2>"$lab_dir/$make-$namespace.err" &
}
mail_postfix postfix-server 465 hold
over_tls postfix-server "$lab_dir/tls" 465
mail_run server postfix "${tapped[@]:1}"
mail_exim exim-server 2525 hold
mail_run server exim
mkdir "$lab_dir/stunnel"
cat >"$lab_dir/stunnel/conf" <<END
foreground = yes
pid =
[smtps]
accept = 10.9.0.1:466
connect = 127.0.0.1:2525
cert = $lab_dir/tls.pem
END
in_ns_exec server "${tapped[@]}" "$(program stunnel4)" "$lab_dir/stunnel/conf" 2>"$lab_dir/stunnel/err" &
mail_postfix postfix-backup 466
over_tls postfix-backup "$lab_dir/backup" 466
mail_run backup postfix
mail_exim exim-backup 465
sed -i "s|^tls_advertise_hosts =.*|tls_advertise_hosts = *\ntls_on_connect_ports = 465\ntls_certificate = $lab_dir/backup.pem|" "$lab_dir/exim-backup/exim.conf"
mail_run backup exim

dovecot() { # NAMESPACE CERTIFICATE COMMAND...
	local dir=$lab_dir/dovecot-$1
	mkdir -p "$dir/base" "$dir/home"
	cp -r "$lab_dir/Maildir" "$dir/home"
	chown -R nobody:nogroup "$dir/home"
	cat >"$dir/conf" <<END
base_dir = $dir/base
state_dir = $dir/base
log_path = $dir/log
protocols = imap pop3
listen = *
ssl = required
ssl_cert = <$2.crt
ssl_key = <$2.key
mail_location = maildir:$dir/home/Maildir:INDEX=MEMORY
first_valid_uid = 1
pop3_uidl_format = %g
import_environment = LD_PRELOAD JEEBS_KEYTAP
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir/home
}
service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = 0
  }
}
END
	in_ns_exec "$1" "${@:3}" "$(program dovecot)" -F -c "$dir/conf" >"$dir/out" 2>&1 &
}
mail_file() { /usr/bin/python3 "$lab_root/bench/netns/mail-client.py" write "$1" "$2" "$lab_dir/$1.eml"; }
mail_file box 3000000
mkdir -p "$lab_dir"/Maildir/{cur,new,tmp}
cp "$lab_dir/box.eml" "$lab_dir/Maildir/cur/1796000000.M1P1.lab:2,S"
touch -d '2026-01-01 00:00:00 UTC' "$lab_dir"/Maildir/cur/*
dovecot server "$lab_dir/tls" "${tapped[@]}"
dovecot backup "$lab_dir/backup" env
for port in 465 466 993 995; do
	wait_for 20 "port $port" in_ns server ss -Htln "sport = :$port"
	https_service $port "$(case $port in 993) echo imaps ;; 995) echo pop3s ;; *) echo smtps ;; esac)" 'login: replay'
	listens() { in_ns "$1" ss -Htln "sport = :$port" | grep -q .; }
	wait_for 20 "port $port of the server" listens server
	wait_for 20 "port $port of the backup" listens backup
done
https_start

# ---- clients ---------------------------------------------------------------------------------

ca=$lab_dir/both.crt
gate='{ head -c 400000; : >"$0/$1"; until [ -e "$0/after" ]; do sleep 0.01; done; cat; }'
for port in 465 466; do
	for m in curl swaks msmtp; do mail_file $m$port 900000; done
	truncate -s -1 "$lab_dir/swaks$port.eml" # swaks ends the last line itself
	client curl$port curl -sS --cacert "$ca" "smtps://10.9.0.1:$port/me.example.org" --mail-from a@example.org --mail-rcpt user@example.net \
		-T "$lab_dir/curl$port.eml" --crlf --limit-rate 100k
	client swaks$port swaks --tls-on-connect --server 10.9.0.1 --port $port --helo me.example.org --from a@example.org --to held@example.net \
		--data "@$lab_dir/swaks$port.eml"
	client msmtp$port sh -c "$gate"' <"$2" | msmtp --host 10.9.0.1 --port "$3" --tls=on --tls-starttls=off --tls-trust-file="$4" --from a@example.org user@example.net' \
		"$lab_dir/marks" "msmtp$port" "$lab_dir/msmtp$port.eml" "$port" "$ca"
done
get_rate=60000
mailbox() { get_with "$1" bash -o pipefail -c 'curl -sS --cacert "$0" -u user:secret "$1" | tr -d "\r"' "$ca" "$2"; }
mailbox pop3s pop3s://10.9.0.1/1
mailbox imaps 'imaps://10.9.0.1/INBOX;UID=1'
get_rate=
mkdir -m 700 "$lab_dir/fetchmail"
printf '%s\n' '#!/bin/sh' "set -- fetchmail; $(sed "s|\$0|$lab_dir/marks|g" <<<"$gate") >$lab_dir/fetchmail/mail" >"$lab_dir/fetchmail/mda"
chmod 755 "$lab_dir/fetchmail/mda"
cat >"$lab_dir/fetchmail/rc" <<END
poll 10.9.0.1 protocol pop3 user "user" password "secret" ssl sslcertfile "$ca" sslcertck sslcommonname web.lab keep mda "$lab_dir/fetchmail/mda"
END
chmod 600 "$lab_dir/fetchmail/rc"
client fetchmail env "FETCHMAILHOME=$lab_dir/fetchmail" fetchmail -f "$lab_dir/fetchmail/rc" --invisible --pidfile "$lab_dir/fetchmail/pid"

for port in 465 466; do
	wait_for 20 "msmtp to be in its mail" marked "msmtp$port"
	wait_for 20 "curl to be in its mail" https_received "$port" 100000
done
wait_for 20 "fetchmail to be in its mail" marked fetchmail
wait_for 20 "the POP3 mail" get_reached pop3s 100000
wait_for 20 "the IMAP mail" get_reached imaps 100000
https_have_keys 465 466 993 995
pull_cable server
wait_for 10 "the takeover" taken_over
mark after
get_hurry
clients=({curl,swaks,msmtp}{465,466} fetchmail pop3s imaps)
for id in "${clients[@]}"; do wait_for 40 "client '$id'" get_ended "$id"; done

# ---- what came of it -------------------------------------------------------------------------

for id in "${clients[@]}"; do
	[[ $(get_exit $id) == 0 || $id == imaps ]] || fail "client '$id': exit $(get_exit $id): $(get_error $id)"
done
tr -d '\r' <"$lab_dir/box.eml" >"$lab_dir/www/box"
get_check pop3s box
body() { tr -d '\r' <"$1" | sed '1,/^$/d' | sha256sum; }
[[ $(body "$lab_dir/fetchmail/mail") == "$(body "$lab_dir/box.eml")" ]] || fail "fetchmail has got another mail"
# Dovecot says in IMAP how long each command took, so its answers are the same by chance only. (Of what had gone on, either end may
# reset at the very end; what the clients have got is compared above.)
refusals=$(jq -r 'select(.event == "connection-aborted" and .proven == "no" and .reason != "client-reset") | .reason' "$lab_dir/appliance.log" | paste -sd' ')
if [[ $(get_exit imaps) == 0 ]]; then get_check imaps box; else [[ $refusals == content-differs ]] || fail "aborted: $refusals"; fi
declare -A server=([465]=postfix [466]='exim behind stunnel') backup=([465]=exim [466]=postfix)
for port in 465 466; do
	[[ $(https_fates $port) == "continued envelope,continued message" ]] || fail "port $port: $(https_fates $port)"
	in_matrix smtps "${server[$port]}" "${backup[$port]}" curl body "continued message"
	in_matrix smtps "${server[$port]}" "${backup[$port]}" msmtp body "continued message"
	in_matrix smtps "${server[$port]}" "${backup[$port]}" swaks head "continued envelope"
done
for port in 993 995; do [[ $(https_fates $port) == "continued replay" ]] || fail "port $port: $(https_fates $port)"; done
in_matrix pop3s dovecot dovecot curl body "continued replay"
in_matrix pop3s dovecot dovecot fetchmail body "continued replay"
on_disk() { # SERVER PORT
	/usr/bin/python3 "$lab_root/bench/netns/mail-delivered.py" "$lab_dir/$1/mail" {curl,swaks,msmtp}"$2":900000:1 2>"$lab_dir/disk.err"
}
all_there() { on_disk exim-backup 465 && on_disk postfix-backup 466; }
wait_until 10 all_there || fail "the mails: $(cat "$lab_dir/disk.err")"
pass "${#clients[@]} clients: six mails once on their disks, and two mailboxes; IMAP: exit $(get_exit imaps)"
