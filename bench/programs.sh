# The programs of the lab, and the packages of bench/packages that bring them. Sourced by whatever starts one.
#
#	program NAME            prints the path of the file to start
#	unpacked PACKAGE PATH   prints where that file of a package of the list `unpack` is
#
# A name is started from the one place that bench/packages tells, not from where an older machine may have it too. What is
# not told there is a fault in the tree, not of the machine: it ends the script, as does a file that is not there.

# Nor is what one of them starts.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

programs_list=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/packages
declare -gA programs_how=()  # of a package: base, installed, unpacked
declare -gA programs_of=()   # of a program's name: its package
declare -gA programs_path=() # of a program's name: its path below the unpacked package
declare -gA programs_found=() # of a program's name: the file, when it was looked for
declare -g programs_cache=/var/cache/jeebs-lab

programs_read() {
	local list package names name unpack=
	while read -r list package names; do
		[[ $list && $list != \#* ]] || continue
		names=${names%%#*}
		case $list in
		unpack) programs_how[$package]=unpacked unpack+="$package $names"$'\n' ;;
		base) programs_how[$package]=base ;;
		*) programs_how[$package]=installed ;;
		esac
		for name in $names; do
			programs_of[${name##*/}]=$package
			[[ $name != /* ]] || programs_path[${name##*/}]=$name
		done
	done <"$programs_list"
	# What another list has unpacked is not found.
	programs_cache+=/$(sha256sum <<<"$unpack" | head -c 16)
}
programs_read

programs_fail() {
	echo "# $*" >&2
	if declare -F fail >/dev/null; then fail "$@"; fi
	exit 1
}

unpacked() {
	[[ ${programs_how[$1]:-} == unpacked ]] || programs_fail "$1 is not on the list unpack of bench/packages"
	[[ -e $programs_cache/$1$2 ]] || programs_fail "$1 is not unpacked, or has no $2 (bench/install check)"
	echo "$programs_cache/$1$2"
}

# program_find NAME: its path goes to $program_found; each is looked for once.
program_find() {
	program_found=${programs_found[$1]:-}
	[[ ! $program_found ]] || return 0
	local package=${programs_of[$1]:-}
	[[ $package ]] || programs_fail "no package of bench/packages is told to bring the program $1"
	if [[ ${programs_how[$package]} == unpacked ]]; then
		program_found=$programs_cache/$package${programs_path[$1]}
		[[ -x $program_found ]] || programs_fail "$package is not unpacked (bench/install check)"
	else
		program_found=$(type -P "$1") || programs_fail "$1 is not installed: package $package (bench/install)"
	fi
	programs_found[$1]=$program_found
}

program() {
	program_find "$1"
	echo "$program_found"
}
