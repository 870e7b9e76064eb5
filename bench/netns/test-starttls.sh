#!/usr/bin/env bash
# Mail behind STARTTLS: Postfix with the key tap dies in each phase, before STARTTLS, in the handshake's first step, and in TLS. The backup is a
# Postfix or an Exim that is asked for TLS in the same way, one that is asked in plain, and one whose certificate is for somebody else.
# Each mail is on the backup's disk once, or the client knows that it is not.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
. "$(dirname "$0")/mail.sh"
need swaks msmtp exim4 master openssl jq python3
lab_init
mail_root=$lab_dir
. "$(dirname "$0")/keytap.sh"
. "$(dirname "$0")/keyvault.sh"
lab_prove=keys # a drill of its own, with the clients' keys
lab_up
lab_prove=
keytap_up
keyvault_up web1 10.9.0.1
vault_start --listen "$vault_at"
collector_start --vault "$vault_at" --wait-ms 2000
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$lab_dir/backup.key" -out "$lab_dir/backup.crt" \
	-days 2 -subj /CN=backup -addext subjectAltName=DNS:mail.lab,IP:10.9.0.1 2>/dev/null
cat "$lab_dir/backup.key" "$lab_dir/backup.crt" >"$lab_dir/backup.pem"
chmod 644 "$lab_dir"/backup.*

postfix_tls() { # NAME CERTIFICATE
	sed -i 's/^import_environment = .*/& LD_PRELOAD JEEBS_KEYTAP/' "$lab_dir/$1/etc/main.cf"
	printf '%s\n' 'smtpd_tls_security_level = may' "smtpd_tls_chain_files = $lab_dir/$2.pem" 'tls_random_source = dev:/dev/urandom' 'notify_classes =' >>"$lab_dir/$1/etc/main.cf"
	echo "tlsmgr unix - - n 1000? 1 tlsmgr" >>"$lab_dir/$1/etc/master.cf"
}
# 25 goes on with Postfix, 2525 with Exim and keys: live, 587 in plain, 2587 nowhere: the certificate is another's.
mail_postfix postfix-server "25 2525 587 2587" hold
postfix_tls postfix-server tls
mail_argv postfix postfix-server
in_ns_exec server "${tapped[@]}" "${mail_argv[@]}" 2>"$lab_dir/postfix-server.err" &
mail_postfix postfix-backup "25 587 2587"
postfix_tls postfix-backup backup
mail_argv postfix postfix-backup
in_ns_exec backup "${mail_argv[@]}" 2>"$lab_dir/postfix-backup.err" &
mail_exim exim-backup 2525
sed -i "s|^tls_advertise_hosts =.*|tls_advertise_hosts = *\ntls_certificate = $lab_dir/backup.pem|" "$lab_dir/exim-backup/exim.conf"
mail_argv exim exim-backup
in_ns_exec backup "${mail_argv[@]}" 2>"$lab_dir/exim-backup.err" &
listening() { in_ns "$1" bash -c "for p in 25 2525 587 2587; do exec 3<>/dev/tcp/127.0.0.1/\$p || exit 1; done"; }
wait_for 10 "the servers" listening server
wait_for 10 "the backup's servers" listening backup

mail_service() { echo "{port: $1, protocol: smtp, keys: $2, backup_tls: {$3}}"; }
lab_services=("$(mail_service 25 sealed "ca: $lab_dir/backup.crt")" "$(mail_service 2525 live "ca: $lab_dir/backup.crt")"
	"$(mail_service 587 sealed "mode: plain")" "$(mail_service 2587 sealed "ca: $lab_dir/backup.crt, name: other.lab")")
lab_addresses='[10.9.0.1]' lab_backups='[{address: 10.9.0.2}]'
box_keys
mkdir "$lab_dir/marks"
appliance_start --debug
wait_for 5 "the vault to be known" box_status "vault $vault_at: up.*"
# What a takeover would find is known before: of all that are asked for TLS only the one with another's certificate would not be believed.
not_ready() { in_ns box curl -s "http://$lab_metrics/readyz" | grep -qF "$1"; }
wait_for 10 "the backup that shows another's certificate to be told of" not_ready "web1:2587: backup 10.9.0.2: hostname mismatch"
for p in 25 2525; do grep -q "\"backup-tls-ready\".*\"port\":$p," "$lab_dir/appliance.log" || fail "the backup of port $p was not asked for TLS"; done

export SSLKEYLOGFILE=$lab_dir/keylog # of Python and curl
py() { # ID PORT STEP...
	next_port "$1"
	client "$1" /usr/bin/python3 "$lab_root/bench/netns/mail-client.py" socket "$(port_of "$1")" "$2" "$lab_dir/marks" "${@:3}"
}
hello='say:EHLO me.example.org\r\n' from='say:MAIL FROM:<a@example.org> SIZE=3000\r\n' rcpt='RCPT TO:<user@example.net>\r\n' to='say:RCPT TO:<user@example.net>\r\n'
turn=(hear:1 "$hello" hear:1 'say:STARTTLS\r\n' hear:1)
inside=("${turn[@]}" tls "$hello" hear:1)
envelope=("${inside[@]}" "$from" hear:1 "$to" hear:1)
whole() { echo "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:$1:2000:0:0" hear:1 'say:QUIT\r\n' hear:1; }

# in_tls: how many clients of a port have keys at the cut.
declare -A in_tls=()
phases() { # PORT
	local p=$1
	# In plain; asked for TLS and agreed; the same, and the hello is on its way when the server dies.
	py "before$p" "$p" hear:1 "$hello" hear:1 "mark:before$p" await:after 'say:STARTTLS\r\n' hear:1 tls "$hello" hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:v$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	py "agreed$p" "$p" "${turn[@]}" "mark:agreed$p" await:after tls "$hello" hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:a$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	py "hello$p" "$p" "${turn[@]}" "mark:hello$p" await:pulled tls "$hello" hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:h$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	# In TLS.
	py "shaken$p" "$p" "${turn[@]}" tls 'say:NOOP\r\n' hear:1 "mark:shaken$p" await:after "$hello" hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:s$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	py "idle$p" "$p" "${inside[@]}" "mark:idle$p" await:after "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:i$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	py "rcpt$p" "$p" "${envelope[@]}" "mark:rcpt$p" await:after 'say:DATA\r\n' hear:1 "text:r$p:2000:0:0" hear:1
	py "data$p" "$p" "${envelope[@]}" 'say:DATA\r\n' hear:1 "text:d$p:40000:0:25000" "mark:data$p" await:after "text:d$p:40000:25000:0" hear:1 \
		"$from$rcpt"'DATA\r\n' hear:3 "text:e$p:500:0:0" 'say:QUIT\r\n' hear:2
	py "dot$p" "$p" "${envelope[@]}" 'say:DATA\r\n' hear:1 "text:f$p:2000:0:-1" 'say:.\r' "mark:dot$p" await:after 'say:\n' hear:1 'say:QUIT\r\n' hear:1
	py "after$p" "$p" "${inside[@]}" "$from" hear:1 'say:RCPT TO:<after@example.net>\r\n' hear:1 'say:DATA\r\n' hear:1 "text:w$p:2000:0:0" "mark:after$p" \
		hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:w$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	in_tls[$p]=6
}
for p in 25 2525 587; do phases $p; done
py other2587 2587 "${envelope[@]}" 'say:DATA\r\n' hear:1 text:o2587:2000:0:1000 mark:other2587 await:after text:o2587:2000:1000:0 hear:1
in_tls[2587]=1

# Stock clients: in the middle of the message by their own pace, or held by the old server at RCPT.
mail_file() { /usr/bin/python3 "$lab_root/bench/netns/mail-client.py" write "$1" "$2" "$lab_dir/$1.eml"; }
for p in 25 2525; do
	mail_file c$p 400000
	mail_file s$p 4000
	mail_file m$p 4000
	mail_file n$p 3000
	truncate -s -1 "$lab_dir/s$p.eml" # swaks ends the last line itself
	next_port swaks$p
	client swaks$p swaks --tls --server 10.9.0.1 --port $p --local-port "$(port_of swaks$p)" --helo me.example.org --from a@example.org --to held@example.net --data "@$lab_dir/s$p.eml"
	clients+=("msmtp$p")
	client msmtp$p bash -c 'msmtp --host 10.9.0.1 --port "$1" --tls=on --tls-certcheck=off --tls-trust-file= --from a@example.org user@example.net < <(head -n 20 "$2"; : >"$3/msmtp$1"; until [[ -e $3/after ]]; do sleep 0.01; done; tail -n +21 "$2")' \
		x $p "$lab_dir/m$p.eml" "$lab_dir/marks"
	clients+=("openssl$p")
	client openssl$p bash -c 'openssl s_client -quiet -starttls smtp -connect "10.9.0.1:$1" -crlf -ign_eof < <(
		printf "EHLO me.example.org\nMAIL FROM:<a@example.org>\nRCPT TO:<user@example.net>\nDATA\n"; sleep 1; head -n 5 "$2" | sed "s/^\\./../"
		: >"$3/openssl$1"; until [[ -e $3/after ]]; do sleep 0.01; done; tail -n +6 "$2" | sed "s/^\./../"; printf ".\nQUIT\n")' x $p "$lab_dir/n$p.eml" "$lab_dir/marks"
	in_tls[$p]=$((in_tls[$p] + 4))
done
for p in 25 2525 587; do
	for m in before agreed hello shaken idle rcpt data dot after; do wait_mark $m$p; done
done
wait_mark other2587
for p in 25 2525; do wait_mark msmtp$p; wait_mark openssl$p; done
# In the middle of the message by its own pace, which ends later.
for p in 25 2525; do
	next_port curl$p
	client curl$p curl -sS -k --ssl-reqd --local-port "$(port_of curl$p)" "smtp://10.9.0.1:$p/me.example.org" --mail-from a@example.org --mail-rcpt user@example.net \
		-T "$lab_dir/c$p.eml" --crlf --limit-rate 30k
done
sent() { # ID BYTES: so much has come from it
	in_ns server ss -Htni "dport = :$(port_of "$1")" | sed -nE 's/.*bytes_received:([0-9]+).*/\1/p' | awk -v n="$2" '{ if ($1 >= n) found = 1 } END { exit !found }'
}
for p in 25 2525; do
	wait_for 20 "curl to be in its message" sent curl$p 60000
	wait_for 20 "swaks to be held at RCPT" sent swaks$p 500
done
for p in 25 2525 587; do wait_for 5 "after$p" sent after$p 2500; done
for p in 25 2525 587 2587; do
	wait_for 10 "the keys of port $p" box_status "keys: web1:$p: ${in_tls[$p]} of ${in_tls[$p]} sessions have keys.*"
done
pull_cable server
: >"$lab_dir/marks/pulled"
wait_for 10 "the takeover" taken_over
: >"$lab_dir/marks/after"
for id in "${clients[@]}"; do wait_for 60 "client '$id'" get_ended "$id"; done

saw() { # ID CODES
	[[ $(get_exit "$1") == 0 && $(tr '\n' ' ' <"$lab_dir/get/$1.out") == "$2 " ]] ||
		fail "client '$1' (exit $(get_exit "$1")) saw '$(tr '\n' ' ' <"$lab_dir/get/$1.out")', not '$2': $(get_error "$1")"
}
in_phase() { # ID BACKUP CLIENT PHASE FATE
	expect_fate "$(port_of "$1")" "$5"
	in_matrix "smtp, STARTTLS" postfix "$2" "$3" "$4" "$5"
}
sent_whole="250 250 354 250 221"
for p in 25 2525 587; do
	new=postfix
	[[ $p != 2525 ]] || new=exim
	[[ $p != 587 ]] || new="postfix in plain"
	for id in before agreed hello; do saw $id$p "220 250 220 tls 250 $sent_whole"; done
	saw shaken$p "220 250 220 tls 250 250 $sent_whole"
	saw idle$p "220 250 220 tls 250 $sent_whole"
	saw rcpt$p "220 250 220 tls 250 250 250 354 250"
	saw data$p "220 250 220 tls 250 250 250 354 250 250 250 354 250 221"
	saw dot$p "220 250 220 tls 250 250 250 354 250 221"
	saw after$p "220 250 220 tls 250 250 250 354 451 $sent_whole"
	in_phase before$p "$new" socket before "continued idle"
	in_phase agreed$p "$new" socket agreed "continued handshake-anew"
	in_phase hello$p "$new" socket hello "continued handshake-anew"
	in_phase shaken$p "$new" socket login "continued idle"
	in_phase idle$p "$new" socket idle "continued idle"
	in_phase rcpt$p "$new" socket head "continued envelope"
	in_phase data$p "$new" socket body "continued message"
	in_phase dot$p "$new" socket dot "continued message"
	in_phase after$p "$new" socket after-dot "continued message-uncertain"
done
[[ $(get_exit other2587) != 0 ]] || fail "a backup with another's certificate was believed"
aborted() { jq -s --arg why "$1" '[.[] | select(.event == "connection-aborted" and .reason == $why)] | length' "$lab_dir/appliance.log"; }
(($(aborted backup-tls-verify) == 1)) || fail "a backup with another's certificate was not refused for that"
for p in 25 2525; do
	for id in curl swaks msmtp openssl; do
		[[ $(get_exit $id$p) == 0 ]] || fail "client '$id$p': exit $(get_exit $id$p): $(get_error $id$p)"
	done
	in_phase curl$p "$([[ $p == 25 ]] && echo postfix || echo exim)" curl body "continued message"
	in_phase swaks$p "$([[ $p == 25 ]] && echo postfix || echo exim)" swaks head "continued envelope"
done
on_disk() { # SERVER ID:SIZE:COUNT...
	/usr/bin/python3 "$lab_root/bench/netns/mail-delivered.py" "$lab_dir/$1/mail" "${@:2}" 2>"$lab_dir/disk.err"
}
of_phases() { local m; for m in v$1 a$1 h$1 s$1 i$1 r$1 f$1 w$1; do echo "$m:2000:1"; done; printf '%s\n' "d$1:40000:1" "e$1:500:1"; }
of_stock() { printf '%s\n' "c$1:400000:1" "s$1:4000:1" "m$1:4000:1" "n$1:3000:1"; }
mapfile -t postfix_has < <(of_phases 25; of_phases 587; of_stock 25)
mapfile -t exim_has < <(of_phases 2525; of_stock 2525)
all_there() { on_disk postfix-backup "${postfix_has[@]}" && on_disk exim-backup "${exim_has[@]}"; }
wait_until 10 all_there || fail "the mails: $(cat "$lab_dir/disk.err")"
# The same capture, killed at every fiftieth packet: with these keys what is inside is proved.
lab_capture_end
every=$lab_dir/every
"$JEEBS_BUILD/appliance/jeebs-appliance" --dry-run "$lab_dir/box.pcap" -c "$lab_dir/appliance.yaml" --keys "$lab_dir/keylog" --fail-at every:50 -o json \
	>"$every.json" 2>"$every.txt" || (($? == 1 || $? == 65)) || fail "the drill: $(jq -c .first_wrong "$every.json") $(tail -n1 "$every.txt")"
[[ $(jq '.wrong == 0 and .exact > 0' "$every.json") == true ]] || fail "the drill: $(jq -c 'del(.capture)' "$every.json")"
printf '%s\t%s\n' 'smtp, STARTTLS, with keys' "$(jq -r '[.cuts, .exact, .cuts - .exact - .wrong, .wrong] | @tsv' "$every.json")" >>"${JEEBS_LAB_DRILLS:-/dev/null}"
lab_proved=$(jq -r '"; \(.cuts) cuts: \(.exact) exact, 0 wrong"' "$every.json")
pass "${#clients[@]} clients behind STARTTLS: every mail once on the backup's disk, or the client knows that it is not"
