#!/usr/bin/env python3
"""A client of a key-value server over HTTP, for Whitewater: JSON lines on standard input and output.

    GET  /kv/KEY                              -> {"value": TEXT or null}
    PUT  /kv/KEY      {"value": TEXT}         -> {}
    POST /kv/KEY/cas  {"old": TEXT or null, "new": TEXT} -> {"swapped": BOOL}

Python's own library is enough. Run it by hand and type lines to see what it answers:
{"type":"open","id":1,"client":0,"process":0,"workload":"register","timeout_ms":1000,
 "nodes":[{"name":"n1","address":"127.0.0.1:8080"}]}   (on one line)
{"type":"invoke","id":2,"f":"read","key":"a","value":null}
"""

import http.client
import json
import sys
import urllib.parse


class Fail(Exception):
    """The operation certainly did nothing and never will."""


class Info(Exception):
    """Nobody knows whether it did."""


class Client:
    def __init__(self, opened):
        nodes = opened["nodes"]
        # Clients spread over the nodes, and each stays with its own.
        self.node = nodes[opened["client"] % len(nodes)]
        self.timeout_s = opened["timeout_ms"] / 1000

    def request(self, method, path, body=None):
        """Sends one request, once, on a connection of its own: a late answer cannot be taken for
        another's."""
        host, port = self.node["address"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=self.timeout_s)
        try:
            try:
                connection.connect()
            except OSError as error:
                # No connection, no request.
                raise Fail(f"cannot connect: {error}")
            try:
                text = None if body is None else json.dumps(body)
                connection.request(method, path, text, {"content-type": "application/json"})
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                # It was sent, perhaps, and there was no answer: it may have happened, or may yet.
                raise Info(f"no answer: {error!r}")
            if response.status == 200 and isinstance(answer, dict):
                return answer
            # Whether a refusal is certain depends on the server. This one says so.
            if isinstance(answer, dict) and answer.get("definite") is True:
                raise Fail(str(answer.get("error")))
            raise Info(f"answer {response.status}: {answer}")
        finally:
            connection.close()

    def invoke(self, f, key, value):
        path = "/kv/" + urllib.parse.quote(key, safe="")
        if f == "read":
            text = self.request("GET", path)["value"]
            return None if text is None else int(text)
        if f == "write":
            self.request("PUT", path, {"value": str(value)})
            return None
        if f == "cas":
            old, new = value
            old = None if old is None else str(old)
            # Another value found is no failure: it is something that was seen.
            return self.request("POST", path + "/cas", {"old": old, "new": str(new)})["swapped"]
        raise Fail(f"there is no operation {f}")


def main():
    client = None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["type"] == "close":
            return
        answer = {"type": "ok", "id": asked["id"]}
        if asked["type"] == "open":
            client = Client(asked)
        else:
            try:
                answer["value"] = client.invoke(asked["f"], asked["key"], asked["value"])
            except Fail as fail:
                answer.update(type="fail", error=str(fail))
            except Info as info:
                answer.update(type="info", error=str(info))
            answer["node"] = client.node["name"]
        # One line for each that was read, at once.
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
