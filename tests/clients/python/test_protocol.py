"""The JSON protocol as Python's `websockets` sees it: a second, independent client.

Run as a plain script with ROOMWIRE_BIN naming the server binary; it starts one server for all tests.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from environment import BETWEEN_THREADS_S, environment

WAIT_S = 5.0


class Server:
    """The server under test: an ephemeral port, readiness awaited, ended by pid."""

    def __init__(self, *flags):
        binary = os.environ.get("ROOMWIRE_BIN")
        if not binary:
            sys.exit("ROOMWIRE_BIN is not set: it names the binary to test")
        self.process = subprocess.Popen(
            [binary, "--listen", "127.0.0.1:0", *flags],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (127\.0\.0\.1:\d+)\n", line)
        if not match:
            self.kill()
            raise RuntimeError(f"expected 'listening on', got {line!r}")
        self.address = match[1]

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """The exit code."""
        return self.process.wait(timeout=WAIT_S)

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=WAIT_S)
        self.process.stdout.close()


class Client:
    """One connection. Every wait is bounded."""

    def __init__(self, socket):
        self.socket = socket
        self.welcome = self.next()
        self.id = self.welcome["clientId"]
        self.requests = 0

    def send(self, message):
        """An object as JSON, a string or bytes as they are."""
        plain = isinstance(message, (str, bytes))
        self.socket.send(message if plain else json.dumps(message, ensure_ascii=False))

    def next(self):
        return json.loads(self.socket.recv(timeout=WAIT_S))

    def request(self, **message):
        """The outcome of a request, and what came before it."""
        self.requests += 1
        self.send({**message, "id": self.requests})
        before = []
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            reply = self.next()
            if reply.get("id") == self.requests:
                return reply, before
            before.append(reply)
        raise AssertionError(f"expected the outcome of {message}, got {before}")

    def outcome(self, **message):
        return self.request(**message)[0]

    def drain(self):
        """Everything that came until now. What other threads of the server have said gets a moment to arrive."""
        time.sleep(BETWEEN_THREADS_S)
        return self.request(type="ping")[1]

    def close_code(self):
        """The code with which the server closes."""
        end = time.monotonic() + WAIT_S
        try:
            while time.monotonic() < end:
                self.socket.recv(timeout=WAIT_S)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006
        raise AssertionError(f"expected a close within {WAIT_S} s")


class Protocol(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--rate-limit", "off")
        cls.addClassCleanup(cls.server.kill)

    def connect(self, server=None, **options):
        address = (server or self.server).address
        opening = connect(f"ws://{address}/", open_timeout=WAIT_S, close_timeout=1, **options)
        return Client(self.enterContext(opening))

    def assert_now(self, timestamp):
        self.assertIsInstance(timestamp, int)
        self.assertAlmostEqual(timestamp / 1000, time.time(), delta=60)

    def assert_error(self, reply, code):
        self.assertEqual((reply["type"], reply.get("code")), ("error", code), reply)
        self.assertTrue(reply["message"])

    # covers A2-01
    def test_welcome(self):
        welcome = self.connect().welcome
        self.assertEqual(welcome["type"], "welcome")
        self.assertRegex(welcome["clientId"], r"^client_\S{24}$")
        self.assertEqual((welcome["protocol"], welcome["resumed"]), (1, False))
        self.assert_now(welcome["timestamp"])

    # covers A1-01, A2-02
    def test_ping(self):
        client = self.connect()
        client.send({"type": "ping", "timestamp": 2**60 + 1})
        pong = client.next()
        self.assert_now(pong.pop("timestamp"))
        self.assertEqual(pong, {"type": "pong", "clientTimestamp": 2**60 + 1})

    # covers A1-02, A1-03, A2-03, A2-04, A2-05, A2-10
    def test_join_and_leave(self):
        one, two = self.connect(), self.connect()
        one.send({"type": "join", "room": "py-join"})
        self.assertEqual(
            one.next(), {"type": "joined_room", "room": "py-join", "members": [one.id], "total": 1}
        )
        two.send({"type": "join", "room": "py-join"})
        reply = two.next()
        self.assertEqual((reply["type"], reply["total"]), ("joined_room", 2))
        self.assertCountEqual(reply["members"], [one.id, two.id])
        self.assertEqual(
            one.drain(), [{"type": "member_joined", "room": "py-join", "clientId": two.id}]
        )
        two.send({"type": "leave", "room": "py-join"})
        self.assertEqual(two.next(), {"type": "left_room", "room": "py-join"})
        self.assertEqual(
            one.drain(),
            [{"type": "member_left", "room": "py-join", "clientId": two.id, "reason": "left"}],
        )
        self.assert_error(two.outcome(type="leave", room="py-join"), "not_member")

    # covers A2-05
    def test_disconnect(self):
        one, two = self.connect(), self.connect()
        for client in (one, two):
            client.outcome(type="join", room="py-gone")
        one.drain()
        two.socket.close()
        self.assertEqual(
            one.next(),
            {"type": "member_left", "room": "py-gone", "clientId": two.id, "reason": "disconnected"},
        )

    # covers A1-05, A2-09
    def test_room_message(self):
        one, two, outsider = self.connect(), self.connect(), self.connect()
        for client in (one, two):
            client.outcome(type="join", room="py-room")
        one.drain()
        data = {"text": "grüß 🙂", "type": "welcome"}
        self.assertEqual(one.outcome(type="room_message", room="py-room", data=data)["type"], "ack")
        message = two.next()
        self.assert_now(message.pop("timestamp"))
        self.assertEqual(
            message, {"type": "room_message", "room": "py-room", "from": one.id, "data": data}
        )
        self.assert_error(outsider.outcome(type="room_message", room="py-room", data=1), "not_member")
        self.assert_error(outsider.outcome(type="room_message", room="py-no", data=1), "no_such_room")
        for client in (one, two, outsider):
            self.assertEqual(client.drain(), [])

    # covers A1-06, A2-06
    def test_private_message(self):
        one, two = self.connect(), self.connect()
        self.assertEqual(
            one.outcome(type="private_message", to=two.id, data=[1], **{"from": "admin"})["type"], "ack"
        )
        message = two.next()
        self.assert_now(message.pop("timestamp"))
        self.assertEqual(message, {"type": "private_message", "from": one.id, "data": [1]})
        self.assert_error(one.outcome(type="private_message", to="no", data=1), "target_not_found")

    # covers A1-07, A2-07
    def test_metadata(self):
        client = self.connect()
        client.outcome(type="set_metadata", metadata={"a": 1, "b": 2})
        reply = client.outcome(type="set_metadata", metadata={"a": None, "c": [3]})
        self.assertEqual((reply["type"], reply["metadata"]), ("metadata_updated", {"b": 2, "c": [3]}))

    # covers A1-11, A1-12, A1-13, A1-14, A2-08, A13-03
    def test_errors(self):
        client = self.connect()
        for sent, code in [
            ("not json", "bad_json"),
            ("null", "bad_message"),
            ("[]", "bad_message"),
            ("{}", "bad_message"),
            (b"\x00\x01", "bad_message"),
            ('{"type":"nope"}', "unknown_type"),
            ('{"type":"join","room":""}', "invalid_room"),
            ('{"type":"join","room":"user:me"}', "reserved"),
        ]:
            client.send(sent)
            reply = client.next()
            self.assert_error(reply, code)
            if code == "bad_json":
                self.assertEqual(reply["message"], "Invalid message format")
        self.assertEqual(client.drain(), [])

    # covers A1-16
    def test_ids(self):
        client = self.connect()
        for identity in ("text", 7, 1.5):
            client.send({"type": "hello", "id": identity})
            self.assertEqual(client.next(), {"type": "ack", "id": identity})

    def test_normal_close(self):
        client = self.connect()
        client.socket.close(1000, "bye")
        self.assertEqual(client.socket.protocol.close_rcvd.code, 1000)

    def test_close_for_bad_utf8(self):
        client = self.connect()
        client.socket.send(b'"\xc3\x28"', text=True)
        self.assertEqual(client.close_code(), 1007)

    def test_close_for_size(self):
        client = self.connect()
        client.send("x" * (1024 * 1024 + 1))
        self.assertEqual(client.close_code(), 1009)

    # covers A1-12
    def test_close_for_bad_messages(self):
        client = self.connect()
        for _ in range(21):
            client.send("not json")
        self.assertEqual(client.close_code(), 1008)

    def test_fragments(self):
        client = self.connect()
        client.socket.send(['{"type":', '"ping",', '"timestamp":1}'])
        self.assertEqual(client.next()["clientTimestamp"], 1)

    def test_protocol_ping(self):
        client = self.connect()
        self.assertTrue(client.socket.ping().wait(WAIT_S))

    def test_large_messages(self):
        one, two = self.connect(), self.connect()
        data = "é" * 200_000
        one.outcome(type="private_message", to=two.id, data=data)
        self.assertEqual(two.next()["data"], data)

    # covers A9-02
    def test_origin(self):
        with self.assertRaises(InvalidStatus) as refused:
            self.connect(origin="https://evil.example")
        self.assertEqual(refused.exception.response.status_code, 403)

    # covers A3-15
    def test_health(self):
        with urllib.request.urlopen(f"http://{self.server.address}/health", timeout=WAIT_S) as answer:
            health = json.load(answer)
        self.assertEqual(set(health), {"status", "clients", "rooms", "uptime"})
        self.assertEqual(health["status"], "healthy")
        with self.assertRaises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"http://{self.server.address}/nope", timeout=WAIT_S)
        with missing.exception as answer:
            self.assertEqual((answer.code, answer.read()), (404, b"Not found"))

    # covers A0-10, A11-01
    def test_drain(self):
        server = Server()
        self.addCleanup(server.kill)
        client = self.connect(server)
        server.terminate()
        closing = client.next()
        self.assertEqual((closing["type"], closing["code"]), ("closing", 1012))
        self.assertIsInstance(closing["reconnectAfterMs"], int)
        self.assertEqual(client.close_code(), 1012)
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
