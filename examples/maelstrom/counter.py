#!/usr/bin/env python3
"""g-counter and pn-counter: each node keeps its own part in the service seq-kv; a read adds them up.

Before a read the node writes something else to the service, so that what it reads is not stale. With
`broken` all nodes share one key and write back what they read plus the delta, without looking.
"""

import itertools
import sys

from node import Node, RpcError

node = Node()
broken = "broken" in sys.argv[1:]
stamps = itertools.count()


def read_key(key):
    try:
        return node.call("seq-kv", {"type": "read", "key": key})["value"]
    except RpcError as error:
        if error.code == 20:
            return 0
        raise


@node.on("add")
def add(message):
    key = "sum" if broken else node.id
    delta = message["body"]["delta"]
    with node.lock:
        # Nobody else writes this key, unless it is broken.
        value = read_key(key) + delta
        node.call("seq-kv", {"type": "write", "key": key, "value": value})
    return {"type": "add_ok"}


@node.on("read")
def read(_):
    with node.lock:
        stamp = f"{node.id} {next(stamps)}"
        node.call("seq-kv", {"type": "write", "key": f"stamp {node.id}", "value": stamp})
        keys = ["sum"] if broken else node.ids
        return {"type": "read_ok", "value": sum(read_key(key) for key in keys)}


node.run()
