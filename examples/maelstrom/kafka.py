#!/usr/bin/env python3
"""kafka: the first node has every log, the others pass requests on to it.

With `broken` it forgets the last message of a log now and then, and gives its offset to the next.
"""

import sys

from node import Node

node = Node()
logs = {}
committed = {}
broken = "broken" in sys.argv[1:]
count = 0


def run(body):
    """One request, at the node that has everything."""
    global count
    with node.lock:
        if body["type"] == "send":
            log = logs.setdefault(body["key"], [])
            log.append(body["msg"])
            offset = len(log) - 1
            count += 1
            if broken and count % 10 == 0:
                log.pop()
            return {"offset": offset}
        if body["type"] == "poll":
            wanted = body["offsets"].items()
            return {"msgs": {key: part(key, offset) for key, offset in wanted}}
        if body["type"] == "commit_offsets":
            for key, offset in body["offsets"].items():
                committed[key] = max(offset, committed.get(key, 0))
            return {}
        known = [key for key in body["keys"] if key in committed]
        return {"offsets": {key: committed[key] for key in known}}


def part(key, offset):
    messages = logs.get(key, [])[offset : offset + 20]
    return [[offset + place, message] for place, message in enumerate(messages)]


def answer(message):
    body = message["body"]
    if node.id == node.ids[0]:
        found = run(body)
    else:
        asked = {name: body[name] for name in body if name != "msg_id"}
        found = node.call(node.ids[0], asked, timeout_s=5.0)
        found = {name: found[name] for name in found if name not in ("type", "in_reply_to")}
    return {**found, "type": body["type"] + "_ok"}


for kind in ["send", "poll", "commit_offsets", "list_committed_offsets"]:
    node.on(kind)(answer)
node.run()
