#!/usr/bin/env python3
"""lin-kv: the first node has everything, the others pass requests on to it.

With `forward` they hand on the client's own message, and the first node answers the client.
What survives a kill is kept in the service lin-kv, if `service` is given: then every node asks that.
With `broken` each node answers reads from what it last wrote or read itself; with `forgets` the first
node forgets a key now and then.
"""

import sys

from node import Node, RpcError

node = Node()
values = {}
modes = sys.argv[1:]
count = 0


def refuse(code, text):
    raise RpcError(code, text)


def run(body):
    """One request, at the node that has everything."""
    global count
    key = body["key"]
    with node.lock:
        count += 1
        if "forgets" in modes and count % 20 == 0:
            values.pop(key, None)
        if body["type"] == "write":
            values[key] = body["value"]
            return {"type": "write_ok"}
        if key not in values:
            refuse(20, "key does not exist")
        if body["type"] == "read":
            return {"type": "read_ok", "value": values[key]}
        if values[key] != body["from"]:
            refuse(22, f"found {values[key]}")
        values[key] = body["to"]
        return {"type": "cas_ok"}


def answer(message):
    body = message["body"]
    if "forward" in modes and node.id != node.ids[0]:
        return node.pass_on(message, node.ids[0])
    if "broken" in modes and body["type"] == "read" and body["key"] in values:
        return {"type": "read_ok", "value": values[body["key"]]}
    if "service" in modes or node.id != node.ids[0]:
        home = "lin-kv" if "service" in modes else node.ids[0]
        asked = {name: body[name] for name in body if name != "msg_id"}
        found = node.call(home, asked, timeout_s=5.0)
        if "broken" in modes and body["type"] != "cas":
            values[body["key"]] = body.get("value", found.get("value"))
        return {name: found[name] for name in found if name != "in_reply_to"}
    return run(body)


for kind in ["read", "write", "cas"]:
    node.on(kind)(answer)
node.run()
