#!/usr/bin/env bash
# The box is killed and started again while it protects connections in TLS. What it knew of those of before is gone, with `keys: live` and `keys: sealed`:
# without their handshake no keys are found for them. It says so of each, before the server dies and when it has; what has begun since goes on.
. "$(dirname "$0")/lib.sh"
lab_init
. "$(dirname "$0")/https-live.sh"
https_live_up 1k.bin

# talk NAME PORT: asks again and again, and once more when $lab_dir/ask is there; NAME.said becomes "ok" or what went wrong.
talk() {
	in_ns client python3 - "$2" "$lab_dir/$1.open" "$lab_dir/ask" >"$lab_dir/$1.said" 2>&1 <<-'END' &
		import os, socket, ssl, sys, time
		port, opened, ask = sys.argv[1:]
		c = ssl.create_default_context()
		c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
		s = c.wrap_socket(socket.create_connection(("10.9.0.1", int(port)), 10))
		def get():
		    s.sendall(b"GET /1k.bin HTTP/1.1\r\nHost: lab\r\n\r\n")
		    got = b""
		    while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1024:
		        b = s.recv(65536)
		        if not b:
		            raise EOFError
		        got += b
		    return got.split(b"\r\n\r\n", 1)[1]
		s.settimeout(30)
		try:
		    first = get()
		    open(opened, "w").close()
		    while not os.path.exists(ask):
		        time.sleep(0.1)
		        if not os.path.exists(ask):
		            get()
		    print("ok" if get() == first else "other bytes")
		except Exception as e:
		    print(type(e).__name__)
	END
	talkers+=($!)
	wait_for 10 "the connection '$1'" test -e "$lab_dir/$1.open"
}
talkers=()
talk before 443
talk sealed 8443
wait_for 10 "the keys" status "web1:443: 1 of 1 sessions have keys"
appliance_signal KILL
wait_for 5 "the appliance to end" lab_ended "$appliance"
: >"$lab_dir/appliance.log"
appliance_start --debug
event store-loaded || fail "the store was not read"
wait_for 5 "the vault to be known" status "vault $vault_at: up"
talk since 443

connections() { jeebsctl -o json show connections web1 >"$lab_dir/connections"; }
of_before() { jq -r '.data[] | select(.reason == "handshake-not-seen") | .client' "$lab_dir/connections"; }
named() { connections && [[ $(of_before | wc -l) == 2 && $(jq '[.data[] | select(.verdict == "continue")] | length' "$lab_dir/connections") == 1 ]]; }
wait_for 10 "the two of before to be named" named
for client in $(of_before); do
	jeebsctl explain "$client" >"$lab_dir/explained" && fail "explain says that $client would go on"
	grep -q handshake-not-seen "$lab_dir/explained" || fail "explain says $(cat "$lab_dir/explained")"
done

pull_cable server
: >"$lab_dir/ask"
wait_for 10 "the takeover" taken_over
wait "${talkers[@]}"
[[ $(cat "$lab_dir/since.said") == ok ]] || fail "the one since: $(cat "$lab_dir/since.said")"
for name in before sealed; do
	[[ $(cat "$lab_dir/$name.said") == @(ConnectionResetError|EOFError) ]] || fail "$name: $(cat "$lab_dir/$name.said")"
done
all_settled
((account_refused == 2)) || fail "$account_refused of 2 refused"
event connection-refused handshake-not-seen || fail "they were refused for something else"
pass "the two of before the restart are named and reset, the one since goes on"
