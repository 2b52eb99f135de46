#!/usr/bin/env python3
"""A plain key-value server over HTTP: the system under test of the tutorial (docs/tutorial.md).

    GET  /kv/KEY                              200 {"value": V}, or 404 where there is nothing
    PUT  /kv/KEY      {"value": V}            200 {}
    POST /kv/KEY/cas  {"old": V, "new": V}    200 {"swapped": true or false}
    GET  /status                              200 {"role": "primary" or "backup"}

Alone, it is correct: one lock, and a log on disk that is synced before a change is acknowledged.

With --backups (of the primary) or --primary (of a backup) it is replicated as one would do it on a
first afternoon: the primary acknowledges a change and sends it on to the backups a moment later, and
a backup answers reads from what it has. That loses freshness whenever a backup falls behind.
"""

import argparse
import json
import os
import queue
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Store:
    """Keys and values, and the log from which they come back after a crash."""

    def __init__(self, folder):
        self.lock = threading.Lock()
        self.values = {}
        path = os.path.join(folder, "log.jsonl")
        if os.path.exists(path):
            with open(path, "rb+") as log:
                good = 0
                for line in log:
                    # What was torn by a crash was never acknowledged: it is cut off, so that what
                    # is written next begins on a line of its own.
                    if not line.endswith(b"\n"):
                        break
                    key, value = json.loads(line)
                    self.values[key] = value
                    good += len(line)
                log.truncate(good)
        self.log = open(path, "ab")

    def get(self, key):
        with self.lock:
            return self.values.get(key)

    def change(self, key, decide):
        """Puts what `decide` makes of the value there; None leaves it alone. Tells what was put."""
        with self.lock:
            value = decide(self.values.get(key))
            if value is not None:
                self.log.write(json.dumps([key, value]).encode() + b"\n")
                self.log.flush()
                os.fsync(self.log.fileno())
                self.values[key] = value
            return value


class Backups:
    """Sends changes on to each backup, in order, in the background."""

    def __init__(self, addresses):
        self.queues = []
        for address in addresses:
            changes = queue.Queue()
            self.queues.append(changes)
            threading.Thread(target=self.send_on, args=(address, changes), daemon=True).start()

    def tell(self, key, value):
        for changes in self.queues:
            changes.put((key, value))

    def send_on(self, address, changes):
        while True:
            key, value = changes.get()
            body = json.dumps({"value": value}).encode()
            request = urllib.request.Request(f"http://{address}/copy/{key}", body, method="PUT")
            try:
                urllib.request.urlopen(request, timeout=1).read()
            except OSError:
                pass  # The next change will bring it up to date, more or less.


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store = backups = primary = None

    def do_GET(self):
        if self.path == "/status":
            return self.answer(200, {"role": "backup" if self.primary else "primary"})
        value = self.store.get(self.key())
        if value is None:
            return self.answer(404, {})
        return self.answer(200, {"value": value})

    def do_PUT(self):
        value = self.body()["value"]
        if self.path.startswith("/copy/"):
            self.store.change(self.key(), lambda old: value)
            return self.answer(200, {})
        if self.primary:
            return self.redirect()
        self.store.change(self.key(), lambda old: value)
        self.backups.tell(self.key(), value)
        return self.answer(200, {})

    def do_POST(self):
        body = self.body()
        if self.primary:
            return self.redirect()
        new = body["new"]
        put = self.store.change(self.key(), lambda old: new if old == body["old"] else None)
        if put is not None:
            self.backups.tell(self.key(), new)
        return self.answer(200, {"swapped": put is not None})

    def key(self):
        return unquote(self.path.split("/")[2])

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def redirect(self):
        self.answer(307, {}, location=f"http://{self.primary}{self.path}")

    def answer(self, status, body, location=None):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True, help="IP:PORT")
    parser.add_argument("--data", required=True, help="the folder of the log")
    parser.add_argument("--backups", default="", help="IP:PORT,… to send changes on to")
    parser.add_argument("--primary", help="IP:PORT of the primary, for a backup")
    args = parser.parse_args()
    Handler.store = Store(args.data)
    Handler.backups = Backups([address for address in args.backups.split(",") if address])
    Handler.primary = args.primary
    host, port = args.listen.split(":")
    print(f"serving on {args.listen}", flush=True)
    Server((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
