#!/usr/bin/env python3
"""broadcast and g-set: every node tells its neighbours what it knows, again and again.

With `broken` it tells them once, as soon as it learns something, and never again: what is lost on
the way is lost for good.
"""

import sys

from node import Node

node = Node()
known = set()
neighbours = []
broken = "broken" in sys.argv[1:]


def learn(messages, source):
    with node.lock:
        news = set(messages) - known
        known.update(news)
    if broken and news:
        tell(news, source)


def tell(messages, source=None):
    for other in neighbours or node.others():
        if other != source and messages:
            node.send(other, {"type": "gossip", "messages": sorted(messages)})


@node.on("topology")
def topology(message):
    neighbours[:] = message["body"]["topology"][node.id]
    return {"type": "topology_ok"}


@node.on("broadcast")
def broadcast(message):
    learn([message["body"]["message"]], message["src"])
    return {"type": "broadcast_ok"}


@node.on("add")
def add(message):
    learn([message["body"]["element"]], message["src"])
    return {"type": "add_ok"}


@node.on("gossip")
def gossip(message):
    learn(message["body"]["messages"], message["src"])


@node.on("read")
def read(_):
    with node.lock:
        messages = sorted(known)
    return {"type": "read_ok", "messages": messages, "value": messages}


if not broken:
    node.every(0.2, lambda: tell(set(known)))
node.run()
