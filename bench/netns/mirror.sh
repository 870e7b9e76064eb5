# The box beside a real switch, which sends each frame to one port: it sees the server by a mirror alone. Sourced by
# the scenarios.

# mirror_up [TO-SERVER-DELAY-US [FROM-VLAN [TO-VLAN]]]: the box's eth0 is an ordinary port of a learning switch. What the server says is
# copied to the box's eth1, and what is said to it to $mirror_to (eth1 as well, unless set before), later by the delay; each
# with the tag of its VLAN, if one is given.
: "${mirror_to:=eth1}"
mirror_up() {
	lab_up --no-offload
	ip -n "$(ns sw)" link set br0 type bridge ageing_time 30000
	mirror_port eth1
	[[ $mirror_to == eth1 ]] || mirror_port "$mirror_to"
	mirror_of server "${1:-0}" "${2:-0}" "${3:-0}"
	lab_capture_interface=eth1
	[[ $mirror_to == eth1 ]] || lab_capture_interface="eth1, $mirror_to"
}

mirror_taps=()
mirror_of() { # PORT DELAY-US FROM-VLAN TO-VLAN
	in_ns_exec sw "$lab_tools/tap" "$1" box-eth1 "box-$mirror_to" "${@:2}" >"$lab_dir/tap-$1.log" 2>&1 &
	mirror_taps+=("$!")
	wait_for 5 "the tap of $1" grep -qx ready "$lab_dir/tap-$1.log"
}

# A port of the box for which the switch has nothing but what is mirrored.
mirror_port() {
	ip -n "$(ns box)" link add "$1" type veth peer name "box-$1" netns "$(ns sw)"
	in_ns box sysctl -qw "net.ipv6.conf.$1.disable_ipv6=1"
	in_ns box ethtool -K "$1" tso off gso off gro off tx off rx off >/dev/null
	ip -n "$(ns box)" link set "$1" up
	ip -n "$(ns sw)" link set "box-$1" up
}

mirror_holds() {
	local tap
	for tap in "${mirror_taps[@]}"; do
		lab_alive "$tap" || fail "a tap ended: $(tail -qn1 "$lab_dir"/tap-*.log)"
	done
}
