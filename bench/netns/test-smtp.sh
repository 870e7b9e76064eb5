#!/usr/bin/env bash
# Mail: Exim and Postfix, each for itself and crossed, with four clients, the server killed in every phase. Each mail is
# compared on the backup's disk: none is lost, none is there twice, and the clients saw what they must.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/states.sh"
. "$(dirname "$0")/mail.sh"
need swaks msmtp exim4 master
lab_init
mail_root=$lab_dir
# 25 Exim, 2525 Postfix on the old server; on the backup the other one. 587 is Exim on both, 2587 Postfix on both.
lab_services=('{port: 25, protocol: smtp}' '{port: 2525, protocol: smtp}' '{port: 587, protocol: smtp, login: replay}'
	'{port: 2587, protocol: smtp, retain: 64KiB}')
lab_addresses='[10.9.0.1]' lab_backups='[{address: 10.9.0.2}]'
lab_prove=every:20
lab_up
mkdir "$lab_dir/marks"

start_mail() { # NAMESPACE EXIM-PORTS POSTFIX-PORTS hold
	mail_exim "exim-$1" "$2" "${4:-}"
	mail_postfix "postfix-$1" "$3" "${4:-}"
	mail_argv exim "exim-$1"
	in_ns_exec "$1" "${mail_argv[@]}" 2>"$lab_dir/exim-$1.err" &
	mail_argv postfix "postfix-$1"
	in_ns_exec "$1" "${mail_argv[@]}" 2>"$lab_dir/postfix-$1.err" &
}
listening() { in_ns "$1" bash -c "for p in 25 587 2525 2587; do exec 3<>/dev/tcp/127.0.0.1/\$p || exit 1; done"; }
start_mail server "25 : 587" "2525 2587" hold
start_mail backup "2525 : 587" "25 2587"
wait_for 10 "the servers" listening server
wait_for 10 "the backup's servers" listening backup
appliance_start --debug

py() { # ID CLIENT PORT STEP...
	next_port "$1"
	client "$1" /usr/bin/python3 "$lab_root/bench/netns/mail-client.py" "$2" "$(port_of "$1")" "$3" "$lab_dir/marks" "${@:4}"
}
hello='say:EHLO me.example.org\r\n' from='say:MAIL FROM:<a@example.org> SIZE=3000\r\n' rcpt='RCPT TO:<user@example.net>\r\n' to='say:RCPT TO:<user@example.net>\r\n'
envelope=(hear:1 "$hello" hear:1 "$from" hear:1 "$to" hear:1)

# Of each service the same phases; on each disk those mails that were sent behind the cut, or not answered before.
phases() { # PORT
	local p=$1
	py "greeting$p" socket "$p" hear:1 "mark:greeting$p" await:after "$hello" hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 "text:g$p:2000:0:0" hear:1 'say:QUIT\r\n' hear:1
	py "idle$p" smtplib "$p" "mail:i$p:2000" "mark:idle$p" await:after "mail:j$p:3000"
	py "rcpt$p" socket "$p" "${envelope[@]}" "mark:rcpt$p" await:after 'say:DATA\r\n' hear:1 "text:r$p:2000:0:0" hear:1
	py "data$p" socket "$p" "${envelope[@]}" 'say:DATA\r\n' hear:1 "text:d$p:20000:0:5000" "mark:data$p" await:after "text:d$p:20000:5000:0" hear:1 \
		"$from$rcpt"'DATA\r\n' hear:3 "text:e$p:500:0:0" 'say:QUIT\r\n' hear:2
	py "dot$p" socket "$p" "${envelope[@]}" 'say:DATA\r\n' hear:1 "text:f$p:2000:0:-1" 'say:.\r' "mark:dot$p" await:after 'say:\n' hear:1 'say:QUIT\r\n' hear:1
	py "bdat$p" socket "$p" "${envelope[@]}" "bdat:b$p:3000:0:1000" hear:1 "chunk:b$p:3000:1000:0:500" "mark:bdat$p" await:after rest hear:1
}
for p in 25 2525 2587; do phases $p; done

# The mail that was sent whole, and is not answered.
py after25 socket 25 hear:1 "$hello" hear:1 "$from" hear:1 'say:RCPT TO:<after@example.net>\r\n' hear:1 'say:DATA\r\n' hear:1 text:w25:2000:0:0 mark:after25 \
	hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 text:w25:2000:0:0 hear:1 'say:QUIT\r\n' hear:1
py after2525 socket 2525 hear:1 "$hello" hear:1 "$from" hear:1 'say:RCPT TO:<after@example.net>\r\n' hear:1 bdat:w2525:2000:0:0 mark:after2525 \
	hear:1 "$from$rcpt" hear:2 bdat:w2525:2000:0:0 hear:1 'say:QUIT\r\n' hear:1
# More than is kept.
py lost socket 2587 "${envelope[@]}" 'say:DATA\r\n' hear:1 text:lost:200000:0:150000 mark:lost await:after text:lost:200000:150000:0 hear:1 'say:QUIT\r\n' hear:1
# Logins.
py login socket 587 hear:1 "$hello" hear:1 'say:AUTH LOGIN\r\n' hear:1 mark:login await:after 'say:dXNlcg==\r\n' hear:1 'say:c2VjcmV0\r\n' hear:1 \
	"$from$rcpt" hear:2 'say:DATA\r\n' hear:1 text:l587:2000:0:0 hear:1
py loggedin socket 587 hear:1 "$hello" hear:1 'say:AUTH PLAIN AHVzZXIAc2VjcmV0\r\n' hear:1 "$from$rcpt" hear:2 'say:DATA\r\n' hear:1 text:m587:9000:0:4000 mark:loggedin \
	await:after text:m587:9000:4000:0 hear:1
py refused socket 25 hear:1 "$hello" hear:1 'say:AUTH PLAIN AHVzZXIAc2VjcmV0\r\n' hear:1 mark:refused await:after 'say:NOOP\r\n' hear:1

# Stock clients: held by the old server at EHLO, at RCPT, behind the dot; in the middle of the message by their own pace.
mail_file() { /usr/bin/python3 "$lab_root/bench/netns/mail-client.py" write "$1" "$2" "$lab_dir/$1.eml"; }
for m in c25 c2525 ch25 s25 s2525 sw25 m25 m2525; do mail_file $m 4000; done
mail_file cb25 500000
mail_file cb2525 500000
truncate -s -1 "$lab_dir"/s{,w}25.eml "$lab_dir/s2525.eml" # swaks ends the last line itself
stock_curl() { # ID PORT NAME TO MAIL OPTION...
	next_port "$1"
	client "$1" curl -sS --local-port "$(port_of "$1")" "smtp://10.9.0.1:$2/$3" --mail-from a@example.org --mail-rcpt "$4@example.net" -T "$lab_dir/$5.eml" --crlf "${@:6}"
}
stock_swaks() { # ID PORT NAME TO MAIL OPTION...
	next_port "$1"
	client "$1" swaks --server 10.9.0.1 --port "$2" --local-port "$(port_of "$1")" --helo "$3" --from a@example.org --to "$4@example.net" --data "@$lab_dir/$5.eml" "${@:6}"
}
stock_curl curl25 25 me.example.org held c25
stock_curl curl2525 2525 me.example.org held c2525
stock_curl hello25 25 held user ch25
stock_curl body25 25 me.example.org user cb25 --limit-rate 50k
stock_curl body2525 2525 me.example.org user cb2525 --limit-rate 50k
stock_swaks swaks25 25 me.example.org held s25
stock_swaks swaks2525 2525 me.example.org held s2525 --pipeline
stock_swaks swaksafter 25 me.example.org after sw25
for p in 25 2525; do
	clients+=("msmtp$p")
	client "msmtp$p" bash -c 'msmtp --host 10.9.0.1 --port "$1" --from a@example.org user@example.net < <(head -n 20 "$2"; : >"$3/msmtp$1"; until [[ -e $3/after ]]; do sleep 0.01; done; tail -n +21 "$2")' \
		x "$p" "$lab_dir/m$p.eml" "$lab_dir/marks"
done

for p in 25 2525 2587; do
	for m in greeting idle rcpt data dot bdat; do wait_mark "$m$p"; done
done
for m in after25 after2525 lost login loggedin refused msmtp25 msmtp2525; do wait_mark $m; done
# The ports whose client has said this and waits: all of it has reached the server.
quiet() { in_ns client ss -Htn "sport = :$(port_of "$1")" | awk '{ exit !($3 == 0) }'; }
held() { # ID: the server delays what the client waits for
	[[ ! -e $lab_dir/get/$1.exit ]] && quiet "$1" && in_ns server ss -Htnoe "dport = :$(port_of "$1")" | grep -q ESTAB
}
sent() { # ID BYTES: so much has come from it
	in_ns server ss -Htni "dport = :$(port_of "$1")" | sed -nE 's/.*bytes_received:([0-9]+).*/\1/p' | awk -v n="$2" '{ if ($1 >= n) found = 1 } END { exit !found }'
}
for id in curl25 curl2525 swaks25 swaks2525; do wait_for 10 "$id to be held at RCPT" sent $id 70; done
wait_for 10 "swaks to have sent its mail" sent swaksafter 4000
wait_for 10 "curl to have said EHLO" sent hello25 10
for id in body25 body2525; do wait_for 10 "$id to be in its message" sent $id 100000; done
for id in after25 after2525; do wait_for 5 "$id" sent $id 2000; done
for id in curl25 curl2525 swaks25 swaks2525 swaksafter hello25; do wait_for 5 "$id to wait" held $id; done
pull_cable server
wait_for 10 "the takeover" taken_over
: >"$lab_dir/marks/after"
for id in "${clients[@]}"; do wait_for 30 "client '$id'" get_ended "$id"; done

# ---- what the clients saw --------------------------------------------------------------------

saw() { # ID CODES
	[[ $(get_exit "$1") == 0 && $(tr '\n' ' ' <"$lab_dir/get/$1.out") == "$2 " ]] ||
		fail "client '$1' (exit $(get_exit "$1")) saw '$(tr '\n' ' ' <"$lab_dir/get/$1.out")', not '$2': $(get_error "$1")"
}
in_phase() { # ID SERVER BACKUP CLIENT PHASE FATE
	expect_fate "$(port_of "$1")" "$6"
	in_matrix smtp "$2" "$3" "$4" "$5" "$6"
}
for p in 25 2525 2587; do
	old=postfix new=postfix
	[[ $p != 25 ]] || old=exim
	[[ $p != 2525 ]] || new=exim
	saw greeting$p "220 250 250 250 354 250 221"
	saw idle$p "250 250"
	saw rcpt$p "220 250 250 250 354 250"
	saw data$p "220 250 250 250 354 250 250 250 354 250 221"
	saw dot$p "220 250 250 250 354 250 221"
	saw bdat$p "220 250 250 250 250 250"
	in_phase greeting$p $old $new socket login "continued idle"
	in_phase idle$p $old $new python3-smtplib idle "continued idle"
	in_phase rcpt$p $old $new socket head "continued envelope"
	in_phase data$p $old $new socket body "continued message"
	in_phase dot$p $old $new socket dot "continued message"
	in_phase bdat$p $old $new socket upload "continued message"
done
saw after25 "220 250 250 250 354 451 250 250 354 250 221"
saw after2525 "220 250 250 250 451 250 250 250 221"
saw lost "220 250 250 250 354 451 221"
saw login "220 250 334 334 235 250 250 354 250"
saw loggedin "220 250 235 250 250 354 250"
in_phase after25 exim postfix socket after-dot "continued message-uncertain"
in_phase after2525 postfix exim socket after-chunk "continued message-uncertain"
in_phase lost postfix postfix socket too-long "continued message-log-incomplete"
in_phase login exim exim socket login "continued login"
in_phase loggedin exim exim socket body "continued message"
[[ $(get_exit refused) != 0 ]] || fail "a login that must not be repeated was continued"
in_phase refused exim postfix socket logged-in "refused auth"
for id in curl25 curl2525 hello25 body25 body2525 swaks25 swaks2525 msmtp25 msmtp2525; do
	[[ $(get_exit $id) == 0 ]] || fail "client '$id': exit $(get_exit $id): $(get_error $id)"
done
in_phase curl25 exim postfix curl head "continued envelope"
in_phase curl2525 postfix exim curl head "continued envelope"
in_phase hello25 exim postfix curl login "continued replay"
in_phase body25 exim postfix curl body "continued message"
in_phase body2525 postfix exim curl body "continued message"
in_phase swaks25 exim postfix swaks head "continued envelope"
in_phase swaks2525 postfix exim "swaks, pipelining" head "continued replay"
in_matrix smtp exim postfix msmtp body "continued message"
in_matrix smtp postfix exim msmtp body "continued message"
[[ $(get_exit swaksafter) == 26 ]] && grep -q '^<.* 451 4.3.0' "$lab_dir/get/swaksafter.out" ||
	fail "swaks was not told 451: exit $(get_exit swaksafter)"
in_phase swaksafter exim postfix swaks after-dot "continued message-uncertain"

# ---- each mail, on the disks ------------------------------------------------------------------

on_disk() { # SERVER ID:SIZE:COUNT...
	/usr/bin/python3 "$lab_root/bench/netns/mail-delivered.py" "$lab_dir/$1/mail" "${@:2}" 2>"$lab_dir/disk.err"
}
of_phases() { local m; for m in g$1:2000 j$1:3000 r$1:2000 d$1:20000 e$1:500 f$1:2000 b$1:3000; do echo "$m:1"; done; }
mapfile -t postfix_has < <(of_phases 25; of_phases 2587)
mapfile -t exim_has < <(of_phases 2525)
all_there() {
	on_disk postfix-backup "${postfix_has[@]}" w25:2000:1 c25:4000:1 ch25:4000:1 s25:4000:1 m25:4000:1 cb25:500000:1 &&
		on_disk exim-backup "${exim_has[@]}" w2525:2000:1 c2525:4000:1 s2525:4000:1 m2525:4000:1 cb2525:500000:1 l587:2000:1 m587:9000:1 &&
		on_disk exim-server i25:2000:1 && on_disk postfix-server i2525:2000:1 i2587:2000:1
}
wait_until 10 all_there || fail "the mails: $(cat "$lab_dir/disk.err")"
pass "${#clients[@]} clients: every mail once on one of the disks, or the client knows that it is not"
