#!/usr/bin/env python3
"""echo: answers with what it was sent; with `broken`, now and then with something else."""

import sys

from node import Node

node = Node()
broken = "broken" in sys.argv[1:]
count = 0


@node.on("echo")
def echo(message):
    global count
    count += 1
    text = message["body"]["echo"]
    return {"type": "echo_ok", "echo": "?" if broken and count % 5 == 0 else text}


node.run()
