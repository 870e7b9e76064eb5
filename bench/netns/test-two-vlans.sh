#!/usr/bin/env bash
# A mirror that shows two VLANs with the same addresses in both: servers, clients and their ports. The server of VLAN 10 dies:
# its clients go on with their own bytes, and those of VLAN 20, whose server lives, are none of the box's business. And a
# mirror that tags one direction only: both make one connection.
#	test-two-vlans.sh [two | from | to]
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mirror.sh"

# VLAN 20: a switch of its own. Its files have the same names and sizes, and other bytes.
other_vlan() {
	ip -n "$(ns sw)" link add br20 type bridge ageing_time 30000 stp_state 0 mcast_snooping 0
	ip -n "$(ns sw)" link set br20 up
	lab_namespace server20
	lab_namespace client20
	lab_bridge=br20 lab_port server20 9 1
	lab_bridge=br20 lab_port client20 9 10
	for name in server20 client20; do
		in_ns "$name" ethtool -K eth0 tso off gso off gro off tx off rx off >/dev/null
	done
	wait_for 5 "the network of VLAN 20" lab_connected
	mkdir "$lab_dir/www-20"
	for file in 1m.bin 20m.bin; do
		LC_ALL=C tr '\000-\377' '\001-\377\000' <"$lab_dir/www/$file" >"$lab_dir/www-20/$file"
		touch -r "$lab_dir/www/$file" "$lab_dir/www-20/$file"
	done
	start_nginx server20 "$lab_dir/www-20"
	mirror_of server20 0 20 20
}

# In each VLAN the same clients: as their names say, from the same ports.
downloads=(paced chunked slow kept)
ask() { # NAMESPACE ID-SUFFIX
	local get_in=$1 get_rate=3000000
	get "paced$2" --local-port 41001 http://10.9.0.1/paced/20m.bin
	get "chunked$2" --local-port 41002 http://10.9.0.1/chunked/20m.bin
	get "slow$2" --local-port 41003 http://10.9.0.1/20m.bin
	get_rate=400000 get "kept$2" --local-port 41004 http://10.9.0.1/1m.bin http://10.9.0.1/1m.bin -o -
}

begun() {
	local id
	for id; do
		wait_for 10 "download $id" get_reached "$id" 200000
	done
}

check_other() { # ID FILE...: the bytes of VLAN 20
	local sum
	sum=$(cd "$lab_dir/www-20" && cat "${@:2}" | sha256sum | cut_field)
	[[ $(get_exit "$1") == 0 && $(get_field "$1" sha256) == "$sum" ]] || fail "client '$1' of VLAN 20: exit $(get_exit "$1"), $(get_error "$1")"
}

two() {
	local suffixed=("${downloads[@]/%/20}")
	mirror_up 0 10 10
	make_files 1k.bin 1m.bin 20m.bin
	start_nginx server
	start_nginx backup
	other_vlan
	appliance_start --debug
	ask client20 20
	ask client ""
	begun "${suffixed[@]}" "${downloads[@]}"
	pull_cable server
	get_wait 60 "${downloads[@]}" "${suffixed[@]}"
	for id in "${downloads[@]}"; do
		[[ $id == kept ]] && files=(1m.bin 1m.bin) || files=(20m.bin)
		get_check "$id" "${files[@]}"
		check_other "${id}20" "${files[@]}"
	done
	all_continued
	[[ $(event_field failover-summary live) == "${#downloads[@]}" ]] || fail "$(event_field failover-summary live) connections taken over"
	below_ms "$(event_field failover-open at_ms)" 1000 "open after the server's last sign of life, ms"
	mirror_holds
	pass "two VLANs: stall $(longest_stall "${downloads[@]}") ms"
}

# mirror_up FROM-VLAN TO-VLAN
one_direction() {
	mirror_up 0 "$@"
	usual_start
	phases_survive 20
	mirror_holds
	pass "tags $1 and $2: $(phases_summary)"
}

if (($# == 1)); then
	lab_init
	need ethtool
	case $1 in
	two) two ;;
	from) one_direction 10 0 ;;
	to) one_direction 0 10 ;;
	esac
	fail "usage: ${0##*/} [two | from | to]"
fi
for what in two from to; do
	"$0" "$what" >&2 || fail "$what"
done
lab_verdict=pass
printf 'ok    %-28s %s\n' two-vlans "same addresses and ports in two VLANs, one dies; one direction tagged"
