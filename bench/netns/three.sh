# Three protected servers (10.9.0.1, 10.9.0.4, 10.9.0.5; backups 10.9.0.2, 10.9.0.6, 10.9.0.7): sourced after lib.sh.
# Only IPv4: the addresses are what is many here.

three_servers=(server second third)
lab_addresses='[10.9.0.1]'
lab_backups='[{address: 10.9.0.2}]'

# three_up [FENCE_OF_SECOND [FENCE_OF_THIRD]]: as lab_up, with all servers and the appliance watching each.
three_up() {
	lab_up
	make_files 1k.bin 20m.bin
	start_nginx server
	start_nginx backup
	local more n=4
	for more in second third backup2 backup3; do
		lab_namespace "$more"
		lab_port "$more" 9 "$n"
		wait_for 5 "the network" lab_connected
		start_nginx "$more" "$lab_dir/www" "$([[ $more == backup* ]] && echo backup || echo "$more")"
		n=$((n + 1))
	done
	lab_extra=$(three_server web2 4 6 "${1:-}" && three_server web3 5 7 "${2:-}")
	appliance_start --debug
	wait_for 10 "the appliance to watch all servers" three_watched
}

three_server() {
	cat <<END
  - name: $1
    addresses: [10.9.0.$2]
    interface: $lab_interface
    backups: [{address: 10.9.0.$3}]
    ${4:+fence: $4}
    services:
      - {port: 80, protocol: $lab_protocol}
END
}

three_watched() {
	local name
	for name in web1 web2 web3; do
		event server-up "\"server\":\"$name\"" || return 1
	done
}

# of_server EVENT SERVER FIELD: of the last such event of a server.
of_server() {
	grep -F "\"event\":\"$1\"" "$lab_dir/appliance.log" | grep -F "\"server\":\"$2\"" | tail -n1 |
		sed -nE "s/.*\"$3\":(\"([^\"]*)\"|([-0-9.]+)).*/\2\3/p"
}

opened() { event failover-open "\"server\":\"$1\""; }
