"""The server as a service manager sees it: sockets that are handed over, notifications, UNIX sockets.

Run as a plain script with ROOMWIRE_BIN naming the server binary.
"""

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from websockets.sync.client import connect, unix_connect

WAIT_S = 5.0


def start(*flags, sockets=(), **variables):
    """A server with these sockets as descriptors 3 and on."""
    binary = os.environ.get("ROOMWIRE_BIN")
    if not binary:
        sys.exit("ROOMWIRE_BIN is not set: it names the binary to test")
    env = {name: value for name, value in os.environ.items() if not name.startswith("ROOMWIRE_")}
    # A shell moves them to where they belong, and is replaced by the server, so that the process is its own.
    places = [f"{3 + number}<&{one.fileno()}" for number, one in enumerate(sockets)]
    script = f'exec "$@" {" ".join(places)}'
    return subprocess.Popen(
        ["/bin/bash", "-c", script, "bash", binary, *flags],
        env=env | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[one.fileno() for one in sockets],
    )


def end(process):
    """Asks it to leave; returns its exit code."""
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=WAIT_S)
    return process.returncode


def listening():
    one = socket.create_server(("127.0.0.1", 0))
    atexit.register(one.close)
    return one, "127.0.0.1:%d" % one.getsockname()[1]


def is_welcome(connection):
    with connection as client:
        return json.loads(client.recv(timeout=WAIT_S))["type"] == "welcome"


class Inherited(unittest.TestCase):
    def test_sockets_that_are_handed_over_are_the_listeners(self):
        (first, here), (second, there) = listening(), listening()
        process = start(sockets=[first, second], LISTEN_FDS="2")
        for address in (here, there):
            self.assertEqual(process.stdout.readline(), f"listening on {address}\n")
            self.assertTrue(is_welcome(connect(f"ws://{address}/")))
        self.assertEqual(end(process), 0)

    def test_flags_choose_among_them(self):
        (first, _), (second, there) = listening(), listening()
        process = start("--listen=fd:1", sockets=[first, second], LISTEN_FDS="2")
        self.assertEqual(process.stdout.readline(), f"listening on {there}\n")
        self.assertTrue(is_welcome(connect(f"ws://{there}/")))
        self.assertEqual(end(process), 0)

    def test_a_unix_socket_is_left_to_who_made_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/manager.sock"
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path)
                one.listen()
                process = start(sockets=[one], LISTEN_FDS="1")
                self.assertEqual(process.stdout.readline(), f"listening on unix:{path}\n")
                self.assertTrue(is_welcome(unix_connect(path)))
                self.assertEqual(end(process), 0)
            self.assertTrue(Path(path).exists())

    def test_one_that_was_not_handed_over_is_an_error_that_says_so(self):
        process = start("--listen=fd:0")
        _, errors = process.communicate(timeout=WAIT_S)
        self.assertEqual(process.returncode, 1)
        self.assertRegex(errors, r"cannot listen on fd:0: .*LISTEN_FDS")


class Notified(unittest.TestCase):
    def test_the_manager_is_told_of_both_ends(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(f"{folder}/notify")
            manager.settimeout(WAIT_S)
            process = start("--listen=127.0.0.1:0", NOTIFY_SOCKET=f"{folder}/notify")
            self.assertEqual(manager.recv(64), b"READY=1")
            # It listens by then.
            self.assertRegex(process.stdout.readline(), r"^listening on 127\.0\.0\.1:\d+\n$")
            self.assertEqual(end(process), 0)
            self.assertEqual(manager.recv(64), b"STOPPING=1")


class Unix(unittest.TestCase):
    def test_a_unix_socket_serves_and_its_file_is_gone_afterwards(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/roomwire.sock"
            process = start(f"--listen=unix:{path}", "--listen=127.0.0.1:0")
            self.assertEqual(process.stdout.readline(), f"listening on unix:{path}\n")
            match = re.fullmatch(r"listening on (\S+)\n", process.stdout.readline())
            self.assertTrue(is_welcome(unix_connect(path)))
            self.assertTrue(is_welcome(connect(f"ws://{match[1]}/")))
            self.assertEqual(end(process), 0)
            self.assertFalse(Path(path).exists())

    def test_what_a_killed_server_left_is_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/roomwire.sock"
            first = start(f"--listen=unix:{path}")
            first.stdout.readline()
            first.kill()
            first.communicate(timeout=WAIT_S)
            self.assertTrue(Path(path).exists())
            second = start(f"--listen=unix:{path}")
            self.assertEqual(second.stdout.readline(), f"listening on unix:{path}\n")
            self.assertTrue(is_welcome(unix_connect(path)))
            third = start(f"--listen=unix:{path}")
            _, errors = third.communicate(timeout=WAIT_S)
            self.assertEqual(third.returncode, 1)
            self.assertIn("a program listens there", errors)
            self.assertEqual(end(second), 0)


if __name__ == "__main__":
    unittest.main()
