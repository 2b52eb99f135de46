#!/usr/bin/env python3
"""The client of NAME for Whitewater: one line of JSON in, one line out (docs/clients.md).

Whitewater starts one of these for each client. What of it is about your system is in `operate`. Try it by hand,
with a server on 127.0.0.1:PORT:

    $ python3 NAME-client.py
    {"type":"open","id":1,"client":0,"process":0,"workload":"register","timeout_ms":1000,"nodes":[{"name":"n1","address":"127.0.0.1:PORT"}]}
    {"type":"invoke","id":2,"f":"read","key":"a","value":null}
"""

import http.client
import json
import sys
import urllib.parse


class Fail(Exception):
    """The operation did nothing and never will: a promise. When in doubt, Info."""


class Info(Exception):
    """Nobody knows whether it did. Never wrong. Do not send it again: that would be a second operation."""


class Client:
    def __init__(self, opened):
        # Clients spread over the nodes, so that all of them are asked, followers and isolated ones too.
        nodes = opened["nodes"]
        self.node = nodes[opened["client"] % len(nodes)]
        self.timeout_s = opened["timeout_ms"] / 1000

    def operate(self, f, key, value):
        """Does one operation of the workload (docs/workloads.md) and returns its result."""
        path = "/kv/" + urllib.parse.quote(key, safe="")
        if f == "read":
            status, answer = self.request("GET", path)
            if status == 404:
                return None  # Nothing there is something that was seen.
            return self.expect(status, answer, "value")
        if f == "write":
            status, answer = self.request("PUT", path, {"value": value})
            return self.expect(status, answer)
        if f == "cas":
            old, new = value
            status, answer = self.request("POST", path + "/cas", {"old": old, "new": new})
            # False, since another value was there, is something that was seen: no Fail.
            return self.expect(status, answer, "swapped")
        # Ends the run: a client that cannot do its work says nothing about the system.
        sys.exit(f"NAME-client.py does no operation {f}: write it in `operate`")

    def expect(self, status, answer, field=None):
        """A field of an answer that is a success; any other answer leaves the outcome unknown."""
        # If some answers of your server promise that nothing was done, and never will be:
        # if status == 503: raise Fail(f"answer {status}")
        if status != 200 or not isinstance(answer, dict) or (field and field not in answer):
            raise Info(f"answer {status}: {answer}")
        return answer[field] if field else None

    def request(self, method, path, body=None):
        """Sends one request, once, on a connection of its own: no late answer is taken for another's."""
        host, port = self.node["address"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=self.timeout_s)
        try:
            connection.connect()
        except OSError as error:
            raise Fail(f"cannot connect: {error}")  # Nothing was sent.
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Info(f"no answer: {error!r}")  # It may have happened, or may yet.
        finally:
            connection.close()


def main():
    client = None
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["type"] == "close":
            return
        answer = {"type": "ok", "id": asked["id"]}
        if asked["type"] == "open":
            # At the start, and again after each operation of unknown outcome: everything anew.
            client = Client(asked)
        else:
            try:
                answer["value"] = client.operate(asked["f"], asked["key"], asked["value"])
            except Fail as fail:
                answer.update(type="fail", error=str(fail))
            except Info as info:
                answer.update(type="info", error=str(info))
            answer["node"] = client.node["name"]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
