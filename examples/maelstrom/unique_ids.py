#!/usr/bin/env python3
"""unique-ids: the node's name and a count, and the time in case it is started again.

With `broken` the name is left out, so that two nodes make the same.
"""

import itertools
import sys
import time

from node import Node

node = Node()
started = time.time_ns()
counter = itertools.count()
broken = "broken" in sys.argv[1:]


@node.on("generate")
def generate(_):
    number = next(counter)
    return {"type": "generate_ok", "id": number if broken else f"{node.id}-{started}-{number}"}


node.run()
