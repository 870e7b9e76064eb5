#!/usr/bin/env bash
# An FTP upload whose control connection was reset, and whose data connection lives on: nobody can say what becomes of
# it after a takeover, so its client is told at once, and it is counted.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ftp.sh"
lab_services=('{port: 21, protocol: ftp, login: replay}')
lab_init
ftp_need
lab_up
ftp_files 1k.bin
start_ftp vsftpd server
start_ftp vsftpd backup
appliance_start --debug

cat >"$lab_dir/left.py" <<'PY'
import socket, struct, sys, time
lab = sys.argv[1]
control = socket.create_connection(("10.9.0.1", 21))
lines = control.makefile("rb")
def reply(code):
    while True:
        line = lines.readline()
        if line[:4] == code + b" ":
            return line
        assert line[:1] in (b" ", code[:1]), line
def ask(command, code):
    control.sendall(command + b"\r\n")
    return reply(code)
reply(b"220")
ask(b"USER jeeb", b"331")
ask(b"PASS Secret 1", b"230")
ask(b"TYPE I", b"200")
port = ask(b"PASV", b"227").split(b"(")[1].split(b")")[0].split(b",")
data = socket.create_connection(("10.9.0.1", int(port[4]) * 256 + int(port[5])))
ask(b"STOR incoming/left.bin", b"150")
data.sendall(b"x" * 100000)
lines.close()
control.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
control.close()
open(lab + "/left", "w").close()
try:
    end = "ended" if data.recv(1) == b"" else "answered"
except ConnectionResetError:
    end = "reset"
print(end, flush=True)
PY
in_ns client timeout 40 python3 "$lab_dir/left.py" "$lab_dir" >"$lab_dir/left.end" &
client=$!
wait_for 10 "an upload without its control connection" test -e "$lab_dir/left"
arrived() { [[ $(stat -c %s "$lab_dir/ftp-server/incoming/left.bin") == 100000 ]]; }
wait_for 10 "the server to have what was sent" arrived
pull_cable server
wait_for 10 "the takeover" taken_over
wait "$client" || fail "the client waited in vain"
[[ $(<"$lab_dir/left.end") == reset ]] || fail "the client's connection $(<"$lab_dir/left.end")"
event connection-refused '"reason":"main-connection-gone"' || fail "it was not refused for its main connection"
all_settled
((account_live == 1 && account_refused == 1)) || fail "$account_live live, $account_refused refused"
pass "reset and counted: main-connection-gone"
