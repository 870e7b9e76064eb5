#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""timeline.py LOG CUT: the appliance's JSON log as a table for people.

Times are milliseconds since the cut (a file with seconds.microseconds, realtime). The log's
own stamps have whole milliseconds; within a failover its finer at_ms is used instead.
"""
import datetime
import json
import sys

WORDS = {
    "server-suspect": "first probe missed",
    "server-down": "silent for {silent_ms} ms: host down",
    "verdict-suppressed": "no takeover: {rule}",
    "failover-begin": "takeover begins ({reason})",
    "failover-detected": "detected",
    "failover-fence": "fence called",
    "failover-guard": "guard: packets to the address are held back",
    "failover-address": "address taken, neighbours told",
    "failover-probes": "clients asked for what they really have",
    "failover-sockets": "sockets built in the middle of their streams",
    "failover-open": "guard open: connections go on",
    "failover-first-byte": "first byte to a client",
    "failover-aborted": "takeover called off: {reason}",
    "failover-summary": "of {live} live connections: {continuing} continuing, {continued} continued, {refused} refused, {gone} gone",
    "failover-settled": "of {live} live connections: {continued} continued, {refused} refused, {aborted} aborted, {gone} gone",
    "connection-continued": "  {client} continued by {module}: {reason}; {detail}",
    "connection-refused": "  {client} REFUSED: {reason}; {detail}",
    "connection-aborted": "  connection aborted: {reason}",
}


class Blank(dict):
    def __missing__(self, key):
        return "?"


def read_events(path):
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                event = json.loads(line)
                stamp = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # something else than the log: a sanitizer, a tool
            yield stamp.timestamp() * 1000, event


def main(log, cut):
    with open(cut, encoding="ascii") as f:
        cut_ms = float(f.read()) * 1000
    zero_ms = {}  # of each failover: the last proof of life
    for at_ms, event in read_events(log):
        name = event.get("event")
        if at_ms < cut_ms - 1 or name not in WORDS:
            continue
        if "at_ms" in event:
            zero = zero_ms.setdefault(event.get("failover"), at_ms - float(event["at_ms"]))
            at_ms = zero + float(event["at_ms"])
        text = WORDS[name].format_map(Blank(event))
        # What happens to one connection is known to the millisecond only: no time of its own.
        when = "" if name.startswith("connection-") else f"{max(at_ms - cut_ms, 0):.1f}"
        print(f"  {when:>9}  {text}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
