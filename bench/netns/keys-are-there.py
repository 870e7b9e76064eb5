#!/usr/bin/env python3
"""keys-are-there.py RECORDS KEYLOG...: prints what clients logged and is not in the records of a vault-reader."""
import json
import sys

there = {}
for line in open(sys.argv[1]):
    r = json.loads(line)["record"]
    if r["protocol"] == "tls":
        there[r["random"]] = r["secrets"]
for path in sys.argv[2:]:
    for line in open(path):
        if line.startswith("#"):
            continue
        label, random, secret = line.split()
        if label != "EXPORTER_SECRET" and there.get(random, {}).get(label) != secret:
            print(label, random)
