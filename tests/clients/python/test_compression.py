"""Compression with Python's `websockets`: thousands of mixed messages each way, byte for byte.

Run as a plain script with ROOMWIRE_BIN naming the server binary. ROOMWIRE_TEST_SEED chooses other messages.
"""

import os
import random
import unittest
from collections import deque

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import DATA_OPCODES
from websockets.sync.client import connect

from test_protocol import Server

SEED = int(os.environ.get("ROOMWIRE_TEST_SEED", "20261"))
COUNT = 10_000
WAIT_S = 10.0
# What is under way at once, at most.
WINDOW_MESSAGES = 64
# The server compresses from here on.
THRESHOLD_BYTES = 1_024
# What the server says to clients that offer what browsers do.
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

# Where a frame's length is written otherwise, or compression begins; one off on each side, too.
BORDERS = (0, 1, 125, 126, 127, 1_023, 1_024, 1_025, 4_096, 65_535, 65_536, 65_537)
WORDS = ["tea ", "cup ", "kettle ", "ünïcödé ", "καφές ", "茶碗", "🫖🍵", '"quoted" ']
WORDS += ["\\", "\0", "\r\n", "\ufeff", "\ud7ff\ue000"]


class Counted:
    """An extension that counts what it is given and what it makes of it: messages compressed, and bytes on the wire."""

    def __init__(self, extension):
        self.extension = extension
        self.name = extension.name
        self.up = {"messages": 0, "compressed": 0, "bytes": 0}
        self.down = {"messages": 0, "compressed": 0, "bytes": 0}

    def encode(self, frame):
        encoded = self.extension.encode(frame)
        self.count(self.up, encoded)
        return encoded

    def decode(self, frame, **limit):
        self.count(self.down, frame)
        return self.extension.decode(frame, **limit)

    @staticmethod
    def count(total, frame):
        if frame.opcode in DATA_OPCODES:
            total["messages"] += frame.fin
            total["compressed"] += frame.rsv1
            total["bytes"] += len(frame.data)


def length_from(rng):
    """One in eight is at a border, one in twenty any, the others are the more frequent the smaller."""
    if rng.randrange(8) == 0:
        return rng.choice(BORDERS)
    return rng.randrange(BORDERS[-1]) if rng.randrange(20) == 0 else int(2 ** rng.uniform(0, 14)) - 1


def prose(rng, length):
    """So many bytes of UTF-8 that repeat themselves as prose does, characters of one to four bytes among them."""
    # The same hundred words again: drawing each costs more than sending them does.
    words = "".join(rng.choices(WORDS, k=100)).encode()
    text = (words * (length // len(words) + 1))[:length].decode(errors="ignore")
    return text + "." * (length - len(text.encode()))


def scrawl(rng, length):
    """Letters that look random, a byte each: a compressor saves one bit in eight."""
    return bytes(byte & 0x7F for byte in rng.randbytes(length)).decode()


def pattern(rng, length):
    """The same few bytes again and again."""
    period = rng.randbytes(rng.randint(1, 40))
    return (period * (length // len(period) + 1))[:length]


def noise(rng, length):
    """Bytes that no compressor makes smaller."""
    return rng.randbytes(length)


def mixed(seed, count):
    """Messages of all kinds, each with whether a compressor makes it smaller; the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        kind = rng.choice((prose, scrawl, pattern, noise))
        yield kind(rng, length_from(rng)), kind is not noise


def fragments(rng, message):
    """A message in up to five pieces, empty ones among them."""
    cuts = sorted(rng.randint(0, len(message)) for _ in range(rng.randrange(5)))
    return [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)])]


def payload(message):
    return message.encode() if isinstance(message, str) else message


class Compression(unittest.TestCase):
    def check(self, number, sent, came):
        # Not assertEqual: it would print all of both.
        if type(sent) is not type(came) or sent != came:
            sizes = f"{type(sent).__name__} of {len(sent)}, as {type(came).__name__} of {len(came)}"
            self.fail(f"message {number} of seed {SEED} came back otherwise: {sizes}")

    def echo_all(self, socket):
        """Sends all messages, one in seven in fragments, and takes each back: the bytes that went, and how many of the
        messages a server compresses."""
        cutting = random.Random(SEED + 1)
        under_way = deque()
        number = total = compressible = 0
        for message, shrinks in mixed(SEED, COUNT):
            if len(under_way) == WINDOW_MESSAGES:
                self.check(number, under_way.popleft(), socket.recv(timeout=WAIT_S))
                number += 1
            under_way.append(message)
            socket.send(fragments(cutting, message) if cutting.randrange(7) == 0 else message)
            size = len(payload(message))
            total += size
            compressible += shrinks and size >= THRESHOLD_BYTES
        for message in under_way:
            self.check(number, message, socket.recv(timeout=WAIT_S))
            number += 1
        self.assertEqual(number, COUNT)
        return total, compressible

    # covers A3-02
    def test_mixed_messages(self):
        server = Server("--rate-limit", "off", "--echo")
        self.addCleanup(server.kill)
        # The library reads whether or not anyone takes, so that a send never waits for what we have yet to take.
        opening = connect(f"ws://{server.address}/echo", open_timeout=WAIT_S, close_timeout=WAIT_S, max_queue=None)
        with opening as socket:
            self.assertEqual(socket.response.headers["Sec-WebSocket-Extensions"], ANSWER)
            [agreed] = socket.protocol.extensions
            self.assertIsInstance(agreed, PerMessageDeflate)
            wire = Counted(agreed)
            socket.protocol.extensions = [wire]
            total, compressible = self.echo_all(socket)
        self.assertEqual(socket.protocol.close_rcvd.code, 1000)
        print(f"up {wire.up}, down {wire.down} of {total} bytes, seed {SEED}")
        # This client compresses whatever it sends, the server what is long enough and gets smaller.
        self.assertEqual((wire.up["messages"], wire.up["compressed"]), (COUNT, COUNT))
        self.assertEqual((wire.down["messages"], wire.down["compressed"]), (COUNT, compressible))
        self.assertLess(wire.up["bytes"], total * 2 // 3)
        self.assertLess(wire.down["bytes"], total * 2 // 3)
        server.terminate()
        self.assertEqual(server.wait(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
