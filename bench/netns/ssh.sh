# Takeovers of stock ssh clients by recovery-modules/ssh, in its test rig. Sourced after keytap.sh.
#
#	ssh_rig_up						a tapped sshd, its collector; a client that knows no strict key exchange
#	ssh_taken FILE CLIENT HOW AFTER MID OPTION...		a session of cat: FILE goes in, and must come out; what the rig tells is in $lab_dir/told
#	ssh_told CONDITION					of jq

ssh_rig=$JEEBS_BUILD/recovery-modules/ssh/ssh-takeover-rig
ssh_rig_port=2200

ssh_rig_up() {
	[[ -x $ssh_rig ]] || fail "no $ssh_rig"
	keytap_up
	keytap_collect --wait-ms 2000
	tapped_sshd 22
	sed -i '/KexAlgorithms/s/.*/KexAlgorithms +diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha256/' "$lab_dir/sshd/conf"
	tapped_listen
	keytap_ssh_config
	sed 's/kex-strict-c-v00@/kex-strikt-c-v00@/g; s/kex-strict-s-v00@/kex-strikt-s-v00@/g' <"$(command -v ssh)" >"$lab_dir/ssh-not-strict"
	chmod 755 "$lab_dir/ssh-not-strict"
}

ssh_rig_listens() { grep -q listening "$lab_dir/rig.out"; }

ssh_taken() {
	local file=$1 client=$2 how=$3 after=$4 mid=$5 status=0
	shift 5
	ssh_case="$how $after, $mid of the next packet: $(basename "$client") $*"
	: >"$lab_dir/rig.out"
	in_ns_exec server "$ssh_rig" $ssh_rig_port 10.9.0.1:22 "$lab_dir/records" "$lab_dir/sshd/host" "$how" "$after" "$mid" >"$lab_dir/rig.out" 2>"$lab_dir/rig.err" &
	local rig=$!
	wait_for 5 "the rig" ssh_rig_listens
	in_ns client timeout 20 "$client" -F "$lab_dir/ssh_config" -p $ssh_rig_port "$@" root@server cat <"$lab_dir/$file" >"$lab_dir/heard" 2>"$lab_dir/ssh.err" || status=$?
	wait $rig || true
	grep end "$lab_dir/rig.out" >"$lab_dir/told" || fail "$ssh_case: $(tail -n1 "$lab_dir/rig.err") $(tail -n1 "$lab_dir/ssh.err")"
	[[ ${ssh_may_refuse:-no} == yes && $(jq -r .end "$lab_dir/told") == refused ]] && return
	[[ $status == 0 ]] || fail "$ssh_case: status $status: $(tail -n1 "$lab_dir/ssh.err") $(cat "$lab_dir/told")"
	cmp "$lab_dir/$file" "$lab_dir/heard" || fail "$ssh_case: other bytes: $(cat "$lab_dir/told")"
}

ssh_told() { [[ $(jq "$1" "$lab_dir/told") == true ]] || fail "$ssh_case: not $1: $(cat "$lab_dir/told")"; }
