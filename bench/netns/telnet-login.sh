#!/bin/bash
# What a telnetd of the lab runs instead of login(1): asks for name and password as it does, then a shell. The
# accounts are demo (password: s3cret) and nobody else. Arguments are not for us (telnetd gives login's).
# A link to it, DIRECTORY/login-NAME, is another host: NAME in its prompts, and LAB_NAME and LAB_FILE (DIRECTORY/blob)
# in the environment.
host=${0##*/login-}
[[ $host != "$0" ]] || host=lab
export LAB_NAME=$host LAB_FILE=${0%/*}/blob
trap 'exit 1' HUP INT
printf 'Lab server, authorised use only\n'
for try in 1 2 3; do
	printf '%s login: ' "$host"
	IFS= read -r user || exit 1
	stty -echo
	printf 'Password: '
	IFS= read -r password || exit 1
	stty echo
	printf '\n'
	if [[ $user == demo && $password == s3cret ]]; then
		printf 'Welcome to the lab.\n'
		cd /tmp || exit 1
		export PS1="demo@$host:\\w\$ " PS2='> ' HISTFILE=
		unset PROMPT_COMMAND
		exec bash --norc --noprofile --noediting -i
	fi
	printf 'Login incorrect\n'
done
exit 1
