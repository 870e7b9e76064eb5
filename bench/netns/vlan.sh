# The box on a trunk: all that reaches it, and all it sends, carries an 802.1Q tag. Sourced by the scenarios.

vlan_init() {
	lab_init
	need tcpdump python3 ethtool
	lab_up --no-offload
	vlan_trunk
	lab_interface=vlan5
}

# The switch tags at the box's port, and at no other; in the box the interface "vlan5" is VLAN 5 of eth0.
vlan_trunk() {
	lab_capture_end # of lab_record: eth0 is a trunk now
	ip -n "$(ns sw)" link set box nomaster
	vlan_veth sw access port
	ip -n "$(ns sw)" link set port master br0
	vlan_veth box access vlan5 "$(in_ns box cat /sys/class/net/eth0/address)"
	ip -n "$(ns box)" address flush dev eth0
	in_ns box sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1 net.ipv6.conf.access.disable_ipv6=1
	vlan_relay sw box
	vlan_relay box eth0
	lab_address box vlan5 10.9.0.3 fd09::3
	wait_for 5 "the network" lab_connected
	in_ns_exec sw tcpdump -Z root -i box -n -U --immediate-mode -s 128 -w "$lab_dir/trunk.pcap" 2>"$lab_dir/trunk.log" &
	lab_tcpdump=$!
	wait_for 5 "tcpdump" grep -q 'listening on' "$lab_dir/trunk.log"
	wait_for 5 "VLAN 5" vlan_works
}

# The server is there, and nobody listens on that port.
vlan_works() { [[ $(in_ns box timeout 1 bash -c ': <>/dev/tcp/10.9.0.1/9' 2>&1) == *refused* ]]; }

# vlan_veth NAMESPACE A B [MAC-OF-B]: without offload, so that frames are as on a wire.
vlan_veth() {
	local dev
	ip -n "$(ns "$1")" link add "$2" type veth peer name "$3" ${4:+address "$4"}
	for dev in "$2" "$3"; do
		in_ns "$1" ethtool -K "$dev" tso off gso off gro off tx off rx off >/dev/null
		ip -n "$(ns "$1")" link set "$dev" up
	done
}

# The process id of the last one is in $vlan_relay; a USR1 makes it so many milliseconds late.
vlan_relay_late=0
vlan_relay() {
	in_ns_exec "$1" python3 "$(dirname "${BASH_SOURCE[0]}")/vlan-relay.py" "$2" access 5 "$vlan_relay_late" 2>>"$lab_dir/relay.err" &
	vlan_relay=$!
}

# Connections in all phases, and one that is refused: its RST is a frame of our own making, as the probes are.
vlan_survives() {
	get_rate=4000000 get post --data "pay=100" http://10.9.0.1/posted/20m.bin
	many all --host 10.9.0.1 --count 10 --phases "$all_phases" --timeout 60
	many six --host fd09::1 --count 10 --phases "$all_phases" --timeout 60
	many_ready all
	many_ready six
	wait_for 5 "half an answer to a POST" get_reached post 100000
	pull_cable server
	get_wait 60 all six post
	many_check all
	many_check six
	wait_for 5 "the summary" event failover-summary
	[[ $(event_field failover-summary unanswered) == 0 ]] ||
		fail "$(event_field failover-summary unanswered) probes were not answered"
	[[ $(get_exit post) == 56 ]] || fail "POST: curl ended with $(get_exit post), not by a reset"
	vlan_tagged_once
}

# As text: "ethertype 802.1Q (0x8100), length 70: vlan 5, p 0, ethertype IPv4, ..."
vlan_frames() { tcpdump -e -n -r "$lab_dir/trunk.pcap" "ether src $(in_ns box cat /sys/class/net/eth0/address)" 2>/dev/null; }

vlan_tagged_once() {
	local wrong
	lab_capture_end
	wrong=$(vlan_frames | grep -vE '802\.1Q \(0x8100\), length [0-9]+: vlan 5, p [0-7], ethertype (IPv4|IPv6|ARP)' | head -n1) || true
	[[ -z $wrong ]] || fail "a frame of the box: $wrong"
	(($(vlan_frames | wc -l) > 200)) || fail "only $(vlan_frames | wc -l) frames of the box"
}
