# Mail servers and clients for the lab. Sourced after lib.sh, or after bench/programs.sh by whoever sets `mail_root`.
#
# Each server NAME accepts every mail for user@, held@ and after@example.net and puts it into $mail_root/NAME/mail/new, one file each.
# An AUTH user: "user", password "secret".

: "${mail_root:=${lab_dir:-}}"

# Who is told to hold (the old server) lets wait a minute: EHLO of "held", RCPT TO held@, a message to after@.

# mail_exim NAME [PORTS [hold]]: writes its configuration. PORTS: "25 : 587".
mail_exim() {
	local dir=$mail_root/$1 ports=${2:-25} hold=${3:-}
	mkdir -p "$dir/spool" "$dir/log" "$dir/mail"
	cat >"$dir/exim.conf" <<END
primary_hostname = exim.example.net
spool_directory = $dir/spool
log_file_path = $dir/log/%s
pid_file_path = $dir/pid
exim_user = nobody
exim_group = nogroup
daemon_smtp_ports = $ports
local_interfaces = 0.0.0.0
domainlist mine = example.net
acl_smtp_helo = acl_helo
acl_smtp_mail = accept
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 40M
queue_run_max = 1
remote_max_parallel = 1
chunking_advertise_hosts = *
prdr_enable = false
dsn_advertise_hosts = *
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
tls_advertise_hosts =
auth_advertise_hosts = *
never_users =
begin acl
acl_helo:
	accept condition = \${if eq{\$sender_helo_name}{${hold:+held}}}
	       delay = 60s
	accept
acl_rcpt:
	warn local_parts = ${hold:+held}
	     delay = 60s
	deny local_parts = nobody-here
	     message = no such person
	accept domains = +mine
	deny message = no relaying
acl_data:
	warn condition = \${if eq{\$recipients}{${hold:+after@example.net}}}
	     delay = 60s
	accept
begin routers
mine:
	driver = accept
	domains = +mine
	transport = box
begin transports
box:
	driver = appendfile
	directory = $dir/mail
	maildir_format
	user = nobody
	group = nogroup
	delivery_date_add = false
	envelope_to_add = false
	return_path_add = false
begin authenticators
plain:
	driver = plaintext
	public_name = PLAIN
	server_prompts = :
	server_condition = \${if and{{eq{\$auth2}{user}}{eq{\$auth3}{secret}}}}
	server_set_id = \$auth2
login:
	driver = plaintext
	public_name = LOGIN
	server_prompts = Username:: : Password::
	server_condition = \${if and{{eq{\$auth1}{user}}{eq{\$auth2}{secret}}}}
	server_set_id = \$auth1
END
	chown -R nobody:nogroup "$dir"
	chown root "$dir" "$dir/exim.conf"
}

# mail_postfix NAME [PORTS [hold]]: PORTS: "25 587".
mail_postfix() {
	local dir=$mail_root/$1 ports=${2:-25} hold=${3:-} lib part
	lib=$(unpacked postfix /usr/lib/postfix)
	mkdir -p "$dir/etc" "$dir/data" "$dir/mail"
	for part in active bounce corrupt defer deferred flush hold incoming maildrop private public pid saved trace; do
		mkdir -p "$dir/queue/$part"
	done
	cat >"$dir/etc/main.cf" <<END
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
daemon_directory = $lib/sbin
command_directory = $(unpacked postfix /usr/sbin)
meta_directory = $dir/etc
shlib_directory = $lib
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
mail_owner = uucp
setgid_group = mail
myhostname = postfix.example.net
mydestination =
mynetworks = 0.0.0.0/0
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.net
virtual_mailbox_maps = inline:{user@example.net=./ held@example.net=./ after@example.net=./}
virtual_mailbox_base = $dir/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
smtpd_restriction_classes = held
held = sleep 60
smtpd_delay_reject = no
smtpd_helo_restrictions = check_helo_access inline:{ none=held ${hold:+held=held} }
smtpd_recipient_restrictions = check_recipient_access inline:{ none=held ${hold:+held@example.net=held} }, permit_mynetworks, reject
smtpd_end_of_data_restrictions = check_recipient_access inline:{ none=held ${hold:+after@example.net=held} }
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
message_size_limit = 41943040
mailbox_size_limit = 0
virtual_mailbox_limit = 0
maillog_file = $dir/log
maillog_file_prefixes = $dir
biff = no
END
	cat >"$dir/etc/master.cf" <<END
$(printf '%s inet n - n - - smtpd\n' $ports)
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
postlog   unix-dgram n - n - 1 postlogd
END
	: >"$dir/etc/dynamicmaps.cf"
	chown -R uucp "$dir/queue" "$dir/data"; chown nobody:nogroup "$dir/mail"
	chown root "$dir/queue" "$dir/queue/pid"
	chgrp mail "$dir/queue/maildrop" "$dir/queue/public"
}

# mail_argv exim|postfix NAME: how the server is started in the foreground; in the array mail_argv.
mail_argv() {
	local dir=$mail_root/$2
	case $1 in
	exim) mail_argv=("$(program exim4)" -C "$dir/exim.conf" -bdf) ;;
	postfix) mail_argv=(env "LD_LIBRARY_PATH=$(unpacked postfix /usr/lib/postfix)" "$(program master)" -c "$dir/etc" -d) ;;
	esac
}

# client ID PROGRAM...: in the background; its output is kept. Ports of the clients are 20000 + number.
client_no=0 clients=()
next_port() {
	client_no=$((client_no + 1))
	printf -v "port_$1" %s $((20000 + client_no))
	clients+=("$1")
}
port_of() { local name=port_$1; echo "${!name}"; }
client() {
	local id=$1 base=$lab_dir/get/$1
	shift
	(
		set +e
		in_ns client "$@" >"$base.out" 2>"$base.err" </dev/null
		echo $? >"$base.exit.new"
		mv "$base.exit.new" "$base.exit"
	) &
}
