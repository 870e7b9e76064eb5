#!/usr/bin/env python3
"""https-get.py requests|httpx URL CA: what the library gets, to standard output; httpx by HTTP/2."""
import sys

library, url, ca = sys.argv[1:]
if library == "requests":
    import requests

    with requests.get(url, verify=ca, stream=True, timeout=60) as r:
        r.raise_for_status()
        for part in r.iter_content(65536):
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
else:
    import httpx

    with httpx.Client(http2=True, verify=ca, timeout=60) as client, client.stream("GET", url) as r:
        r.raise_for_status()
        if r.http_version != "HTTP/2":
            sys.exit(r.http_version)
        for part in r.iter_bytes():
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
