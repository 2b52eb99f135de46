"""A node of Maelstrom's protocol in a hundred lines: what the examples beside this file share.

A node reads JSON messages on standard input and writes them on standard output, one a line. Each
request is handled by a thread of its own, so that a handler may wait for an answer of another node.
"""

import json
import sys
import threading
import time


class RpcError(Exception):
    """An answer of type `error`, or (code 0) none in time."""

    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class Node:
    def __init__(self):
        self.id = None
        self.ids = []
        self.handlers = {}
        self.lock = threading.RLock()
        self._out = threading.Lock()
        self._last_id = 0
        self._waiting = {}

    def on(self, kind):
        """Registers a handler: it is given the whole message, and returns the answer's body."""

        def register(handler):
            self.handlers[kind] = handler
            return handler

        return register

    def others(self):
        return [other for other in self.ids if other != self.id]

    def send(self, dest, body):
        self._write({"src": self.id, "dest": dest, "body": body})

    def pass_on(self, message, dest):
        """Hands a message on as it came: whoever gets it answers whom it came from."""
        self._write({**message, "dest": dest})

    def _write(self, message):
        line = json.dumps(message)
        with self._out:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def call(self, dest, body, timeout_s=1.0):
        """Asks another node, and waits for its answer."""
        arrived = threading.Event()
        with self._out:
            self._last_id += 1
            number = self._last_id
            self._waiting[number] = [arrived, None]
        self.send(dest, {**body, "msg_id": number})
        arrived.wait(timeout_s)
        _, answer = self._waiting.pop(number)
        if answer is None:
            raise RpcError(0, f"{dest} did not answer")
        if answer["type"] == "error":
            raise RpcError(answer["code"], answer.get("text", ""))
        return answer

    def every(self, seconds, work):
        """Does something again and again, on a thread of its own."""

        def loop():
            while True:
                time.sleep(seconds)
                work()

        threading.Thread(target=loop, daemon=True).start()

    def log(self, text):
        print(text, file=sys.stderr, flush=True)

    def run(self):
        for line in sys.stdin:
            message = json.loads(line)
            body = message["body"]
            if "in_reply_to" in body:
                waiting = self._waiting.get(body["in_reply_to"])
                if waiting is not None:
                    waiting[1] = body
                    waiting[0].set()
            elif body["type"] == "init":
                self.id = body["node_id"]
                self.ids = body["node_ids"]
                self._reply(message, {"type": "init_ok"})
            else:
                threading.Thread(target=self._handle, args=(message,), daemon=True).start()

    def _handle(self, message):
        kind = message["body"]["type"]
        handler = self.handlers.get(kind)
        if handler is None:
            answer = {"type": "error", "code": 10, "text": f"no {kind} here"}
        else:
            try:
                answer = handler(message)
            except RpcError as error:
                answer = {"type": "error", "code": error.code, "text": error.text}
        if answer is not None:
            self._reply(message, answer)

    def _reply(self, message, body):
        if "msg_id" in message["body"]:
            body = {**body, "in_reply_to": message["body"]["msg_id"]}
        self.send(message["src"], body)
