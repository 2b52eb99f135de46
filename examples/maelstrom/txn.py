#!/usr/bin/env python3
"""txn-list-append and txn-rw-register: all of the state under one key of the service lin-kv.

A transaction reads the state, does its work on a copy, and puts the copy in its place if the state is
still the one it read; else it is refused. With `broken` the copy is put there in any case, so that
what others did meanwhile is lost.
"""

import sys

from node import Node, RpcError

node = Node()
broken = "broken" in sys.argv[1:]


def load():
    try:
        return node.call("lin-kv", {"type": "read", "key": "state"})["value"]
    except RpcError as error:
        if error.code == 20:
            return {}
        raise


def apply(state, steps):
    """The state afterwards, and the steps with what reads found. JSON has no numbers as keys."""
    after, done = dict(state), []
    for f, key, value in steps:
        name = str(key)
        if f == "r":
            value = after.get(name)
        elif f == "append":
            after[name] = after.get(name, []) + [value]
        else:
            after[name] = value
        done.append([f, key, value])
    return after, done


@node.on("txn")
def txn(message):
    before = load()
    after, done = apply(before, message["body"]["txn"])
    if broken:
        node.call("lin-kv", {"type": "write", "key": "state", "value": after})
    elif after != before:
        swap = {"type": "cas", "key": "state", "from": before, "to": after}
        try:
            node.call("lin-kv", {**swap, "create_if_not_exists": True})
        except RpcError as error:
            if error.code == 22:
                raise RpcError(30, "somebody else was faster") from None
            raise
    return {"type": "txn_ok", "txn": done}


node.run()
