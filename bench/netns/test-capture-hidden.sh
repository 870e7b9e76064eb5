#!/usr/bin/env bash
# Requests that the appliance did not see, asked right before the cut. What the server acknowledged is gone with it: that
# connection is refused, also when the acknowledgement was not seen either and only the client's sequence number shows
# that it has asked for something. What got lost before the server is sent again and answered.
. "$(dirname "$0")/lib.sh"
lab_init
need nft python3 jq
lab_up --no-offload
usual_start

# One line for each connection when it has ended: its name, "answer", "reset" or "silence", and when, in ms after the cut.
cat >"$lab_dir/clients.py" <<'END'
import fcntl, os, select, socket, struct, sys, time
folder = sys.argv[1]
ports = {"seen": 41001, "acknowledged": 41002, "hidden": 41003, "lost": 41004}
def ask(s, path):
    s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: lab\r\n\r\n")
def answer(s, size):
    data = b""
    while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < size:
        more = s.recv(65536)
        if not more:
            return False
        data += more
    return True
def unacknowledged(s):
    return struct.unpack("i", fcntl.ioctl(s, 0x5411, b"\0" * 4))[0] # SIOCOUTQ
def wait(condition):
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            sys.exit("waited in vain")
        time.sleep(0.002)
clients = {}
for name, port in ports.items():
    s = clients[name] = socket.socket()
    s.bind(("10.9.0.10", port))
    s.connect(("10.9.0.1", 80))
    ask(s, b"/1k.bin")
    answer(s, 1024)
open(folder + "/idle", "w").close()
wait(lambda: os.path.exists(folder + "/blind"))
for name, s in clients.items():
    ask(s, b"/held/1k.bin")
wait(lambda: all(unacknowledged(s) == 0 for n, s in clients.items() if n != "lost"))
open(folder + "/asked", "w").close()
wait(lambda: os.path.exists(folder + "/cut"))
cut = float(open(folder + "/cut").read())
while clients and time.time() < cut + 20:
    for s in select.select(clients.values(), [], [], 0.5)[0]:
        name = next(n for n in clients if clients[n] is s)
        try:
            fate = "answer" if answer(s, 1024) else "end"
        except ConnectionResetError:
            fate = "reset"
        print(name, fate, int((time.time() - cut) * 1000))
        del clients[name]
for name in clients:
    print(name, "silence", 20000)
END
in_ns_exec client python3 "$lab_dir/clients.py" "$lab_dir" >"$lab_dir/fates" &
clients=$!
wait_for 10 "the clients" test -e "$lab_dir/idle"
in_ns sw nft -f - <<'END'
table netdev mirror {
	chain to_box {
		type filter hook egress device "box" priority 0;
		tcp sport { 41002, 41003, 41004 } tcp dport 80 tcp flags & psh == psh drop
		tcp sport 80 tcp dport 41003 drop
	}
	chain from_client {
		type filter hook ingress device "client" priority 0;
		tcp sport 41004 tcp flags & psh == psh drop
	}
}
END
: >"$lab_dir/blind"
wait_for 10 "the requests to be acknowledged" test -e "$lab_dir/asked"
# Something of the hidden one has to be seen afterwards, or nobody could know: its client answers the probe.
pull_cable server
in_ns sw nft delete table netdev mirror
wait_for 30 "the clients to end" lab_ended "$clients"
wait_for 5 "the summary of the failover" event failover-summary
sort "$lab_dir/fates" >&2

fate() { awk -v n="$1" '$1 == n { print $2 }' "$lab_dir/fates"; }
when() { awk -v n="$1" '$1 == n { print $3 }' "$lab_dir/fates"; }
refused() { jq -r --arg c "10.9.0.10:$1" 'select(.event == "connection-refused" and .client == $c) | .reason' "$lab_dir/appliance.log"; }

[[ $(fate seen) == answer && $(fate lost) == answer ]] || fail "not answered: $(paste -sd, "$lab_dir/fates")"
[[ $(fate acknowledged) == reset && $(fate hidden) == reset ]] || fail "not reset: $(paste -sd, "$lab_dir/fates")"
[[ $(refused 41002) == request-gap ]] || fail "acknowledged: refused because of '$(refused 41002)'"
[[ $(refused 41003) == client-bytes-lost ]] || fail "hidden: refused because of '$(refused 41003)'"
below_ms "$(when acknowledged)" 1000 "from the cut to the reset of what was acknowledged, ms"
below_ms "$(when hidden)" 8000 "from the cut to the reset of what nobody saw, ms"
pass "reset after $(when acknowledged) and $(when hidden) ms; sent again and answered after $(when lost) ms"
