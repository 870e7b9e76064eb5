#!/usr/bin/env python3
"""browser.py BROWSER MARKS ORIGIN... : headless Chromium, driven by the DevTools protocol.

Of each ORIGIN a page (page.html) is opened, all at once; what each writes into its title is printed, with whatever was said on its
console, was logged, or did not load. Ends when each page's title begins with "done" or "failed".
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import websocket  # python3-websocket


class Page:
    def __init__(self, devtools, origin):
        self.origin, self.said, self.protocols, self.title, self.asked = origin, [], set(), "", {}
        target = json.loads(devtools("PUT", "/json/new?about:blank"))
        self.ws = websocket.create_connection(target["webSocketDebuggerUrl"], timeout=30, suppress_origin=True)
        self.n = 0
        for domain in "Log", "Runtime", "Network", "Page":
            self.call(domain + ".enable")
        self.call("Page.navigate", url=origin + "/page.html")

    def call(self, method, **params):
        self.n += 1
        n = self.n
        self.ws.send(json.dumps({"id": n, "method": method, "params": params}))
        while True:
            m = json.loads(self.ws.recv())
            if m.get("id") == n:
                return m.get("result", m)
            self.hear(m)

    def hear(self, m):
        what, p = m.get("method"), m.get("params", {})
        if what == "Log.entryAdded":
            self.said.append("log: " + p["entry"]["text"])
        elif what == "Runtime.consoleAPICalled":
            self.said.append("console: " + " ".join(str(a.get("value")) for a in p["args"]))
        elif what == "Runtime.exceptionThrown":
            self.said.append("exception: " + p["exceptionDetails"]["text"])
        elif what == "Network.requestWillBeSent":
            self.asked[p["requestId"]] = p["request"]["url"]
        elif what == "Network.loadingFailed":
            self.said.append(f"failed: {self.asked.get(p['requestId'])} {p['errorText']}")
        elif what == "Network.responseReceived":
            self.protocols.add(p["response"]["protocol"])

    def look(self):
        r = self.call("Runtime.evaluate", expression="document.title")
        self.title = r.get("result", {}).get("value", "")
        return self.title.startswith(("done", "failed"))


def devtools_of(port):
    import http.client

    def ask(method, path):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        c.request(method, path)
        return c.getresponse().read()

    return ask


def main(browser, marks, *origins):
    with tempfile.TemporaryDirectory() as home:
        run = subprocess.Popen(
            [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
             "--user-data-dir=" + home, "--ignore-certificate-errors", "--disable-background-networking", "--no-first-run",
             "--disable-component-update", "--disable-sync", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": home})
        try:
            port_file = os.path.join(home, "DevToolsActivePort")
            while not os.path.exists(port_file) or not open(port_file).read():
                if run.poll() is not None:
                    sys.exit(f"{browser} has ended: {run.returncode}")
                time.sleep(0.02)
            port = int(open(port_file).read().split()[0])
            pages = [Page(devtools_of(port), origin) for origin in origins]
            titles = None
            while True:
                over = [page.look() for page in pages]
                if titles != (titles := [page.title for page in pages]):
                    with open(os.path.join(marks, "titles.new"), "w") as f:
                        f.writelines(f"{page.origin} {page.title}\n" for page in pages)
                    os.rename(os.path.join(marks, "titles.new"), os.path.join(marks, "titles"))
                if all(over):
                    break
                time.sleep(0.02)
            for page in pages:
                print(json.dumps({"origin": page.origin, "title": page.title, "protocols": sorted(page.protocols), "said": page.said}))
        finally:
            run.terminate()
            run.wait()


main(*sys.argv[1:])
