"""The server as a service manager sees it: sockets that are handed over, notifications, UNIX sockets.

Run as a plain script with ROOMWIRE_BIN naming the server binary.
"""

import atexit
import contextlib
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from websockets.sync.client import connect, unix_connect

from environment import environment

WAIT_S = 5.0


def start(*flags, sockets=(), **variables):
    """A server with these sockets as descriptors 3 and on."""
    binary = os.environ.get("ROOMWIRE_BIN")
    if not binary:
        sys.exit("ROOMWIRE_BIN is not set: it names the binary to test")
    env = environment()
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
    # covers A11-01
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


class Listeners(unittest.TestCase):
    def test_ipv6_has_listeners_of_its_own(self):
        if not socket.has_dualstack_ipv6():
            self.fail("this machine has no IPv6")
        process = start("--listen=[::1]:0", "--listen=127.0.0.1:0")
        for host in (r"\[::1\]", r"127\.0\.0\.1"):
            match = re.fullmatch(rf"listening on ({host}:\d+)\n", process.stdout.readline())
            self.assertTrue(is_welcome(connect(f"ws://{match[1]}/")))
        self.assertEqual(end(process), 0)


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


def header_v1(client, port):
    """A header of the PROXY protocol, version 1 (section 2.1 of its specification)."""
    return f"PROXY TCP4 {client} 198.51.100.80 {port} 443\r\n".encode()


def header_v2(client, port):
    """Version 2 (section 2.2): IPv6, and an extra that names the host."""
    ends = socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, "2001:db8::80")
    block = ends + struct.pack("!HH", port, 443) + struct.pack("!BH", 2, 9) + b"localhost"
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x21, len(block)) + block


class BehindProxy(unittest.TestCase):
    """A listener that takes connections of a proxy alone, and a plain one."""

    CONFIG = """
        [limits]
        max_connections_per_ip = 1
        [timeouts]
        welcome_delay_ms = 0
        [[listener]]
        address = "127.0.0.1:0"
        trusted_proxies = ["127.0.0.1"]
        proxy_protocol = true
        [[listener]]
        address = "127.0.0.1:0"
        trusted_proxies = ["10.0.0.0/8"]
        proxy_protocol = true
    """

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        config = Path(folder, "proxy.toml")
        config.write_text(cls.CONFIG)
        cls.process = start(f"--config={config}")
        cls.addClassCleanup(end, cls.process)
        lines = [cls.process.stdout.readline() for _ in range(2)]
        cls.port, cls.others = (int(line.rsplit(":", 1)[1]) for line in lines)

    def dial(self, header, port=None):
        raw = socket.create_connection(("127.0.0.1", port or self.port), timeout=WAIT_S)
        self.addCleanup(raw.close)
        raw.sendall(header)
        return raw

    def connect(self, raw):
        return connect(f"ws://127.0.0.1:{self.port}/", sock=raw)

    # covers A3-06
    def test_clients_count_by_the_address_that_a_header_tells(self):
        for header, client, other in (
            (header_v1, "203.0.113.7", "203.0.113.8"),
            (header_v2, "2001:db8::7", "2001:db8:0:1::7"),
        ):
            with self.connect(self.dial(header(client, 1))) as ada:
                self.assertEqual(json.loads(ada.recv(timeout=WAIT_S))["type"], "welcome")
                self.assertTrue(is_welcome(self.connect(self.dial(header(other, 1)))))
                self.assert_closed(self.dial(header(client, 2)))
                ada.send('{"type":"ping"}')
                self.assertEqual(json.loads(ada.recv(timeout=WAIT_S))["type"], "pong")

    # covers A3-06
    def test_a_header_in_pieces_is_one(self):
        for header in (header_v1("203.0.113.9", 1), header_v2("2001:db8:0:2::7", 1)):
            raw = self.dial(b"")
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(len(header)):
                raw.sendall(header[at : at + 1])
            self.assertTrue(is_welcome(self.connect(raw)))

    # covers A3-06
    def test_who_sends_none_or_may_not_is_closed_without_an_answer(self):
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assert_closed(self.dial(request))
        self.assert_closed(self.dial(b"PROXY TCP4 here there 1 2\r\n" + request))
        self.assert_closed(self.dial(header_v1("203.0.113.7", 1) + request, self.others))

    def test_curl_and_health_checks_are_served(self):
        local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
        raw = self.dial(local + b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
        curl = subprocess.run(
            ["curl", "-sS", "--haproxy-protocol", f"http://127.0.0.1:{self.port}/health"],
            capture_output=True, text=True, timeout=30,
        )
        self.assertEqual((curl.returncode, curl.stderr), (0, ""))
        self.assertEqual(json.loads(curl.stdout)["status"], "healthy")

    def assert_closed(self, raw):
        # What it had not read yet, a server that closes answers with a reset.
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(raw.recv(4096), b"")


class Descriptors(unittest.TestCase):
    """A server that has fewer descriptors than it thinks."""

    def setUp(self):
        limit = 128
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]
        self.process = subprocess.Popen(
            [os.environ["ROOMWIRE_BIN"], "--listen=127.0.0.1:0", "--welcome-delay-ms=0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=held,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        )
        for one in held:
            os.close(one)
        self.addCleanup(self.stop)
        self.stack = self.enterContext(contextlib.ExitStack())
        self.url = "ws://" + self.process.stdout.readline().removeprefix("listening on ").strip()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def join(self):
        """A client that was welcomed, or None."""
        try:
            client = self.stack.enter_context(connect(self.url, open_timeout=0.5))
            self.assertEqual(json.loads(client.recv(timeout=WAIT_S))["type"], "welcome")
            return client
        except TimeoutError:
            return None

    def test_accepting_rests_until_there_are_some_again(self):
        clients = []
        while (client := self.join()) is not None:
            clients.append(client)
            self.assertLess(len(clients), 60)
        self.assertGreater(len(clients), 4)
        # Those that are there notice nothing.
        for client in clients:
            client.send('{"type":"ping"}')
            self.assertEqual(json.loads(client.recv(timeout=WAIT_S))["type"], "pong")
        for client in clients[:3]:
            client.close()
        late = self.join() or self.join() or self.join()
        self.assertIsNotNone(late, "nobody is let in again")
        for client in [late, *clients[3:]]:
            client.close()
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=WAIT_S)
        self.assertEqual(self.process.returncode, 0, errors)
        self.assertIn("accepting pauses until descriptors or memory are free", errors)
        # Once for each time that it happens, not for each try.
        self.assertLess(errors.count("accepting pauses"), 5, errors)


class Refusals(unittest.TestCase):
    def test_a_flood_is_two_lines_in_the_log(self):
        process = start("--listen=127.0.0.1:0", "--threads=1")
        host, port = process.stdout.readline().split()[-1].rsplit(":", 1)
        for _ in range(50):
            with socket.create_connection((host, int(port)), timeout=WAIT_S) as client:
                client.sendall(b"\0")
                with client.makefile("rb") as answer:
                    self.assertTrue(answer.read().startswith(b"HTTP/1.1 400 "))
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=WAIT_S)
        self.assertEqual(process.returncode, 0, log)
        # The first one, and what is left when the server ends.
        lines = [line for line in log.splitlines() if "refused request: 400 Bad Request" in line]
        counts = [re.search(r"count=(\d+)", line)[1] for line in lines]
        self.assertEqual(counts, ["1", "49"], log)


if __name__ == "__main__":
    unittest.main()
