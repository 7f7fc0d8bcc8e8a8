"""The programs as clients: `connect` and `tap` against a server of their own kind.

Run as a plain script with ROOMWIRE_BIN naming the binary, which is both here.
"""

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import termios
import unittest
from pathlib import Path

from environment import environment
from test_tls import Authority

WAIT_S = 10.0


def start(*arguments, **options):
    binary = os.environ.get("ROOMWIRE_BIN")
    if not binary:
        sys.exit("ROOMWIRE_BIN is not set: it names the binary to test")
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([binary, *map(str, arguments)], env=environment(), text=True, **(pipes | options))


def finish(process, lines=None):
    """The exit code, what was printed and what was complained of. Without `lines` its input does not end."""
    with contextlib.ExitStack() as stack:
        if lines is None:
            stack.enter_context(process.stdin)
            process.stdin = None
        out, errors = process.communicate(lines, timeout=WAIT_S)
    return process.returncode, out.splitlines(), errors


def run(*arguments, lines=None):
    return finish(start(*arguments), lines)


def types(lines):
    return [json.loads(line)["type"] for line in lines]


class Server:
    def __init__(self, *flags):
        self.process = start("--listen=127.0.0.1:0", *flags)
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (?:tls://)?(127\.0\.0\.1:(\d+))\n", line)
        if not match:
            raise RuntimeError(f"expected 'listening on', got {line!r} {self.process.communicate()}")
        self.address, self.port = match[1], match[2]
        self.url = f"ws://{self.address}/"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.communicate(timeout=WAIT_S)
        finally:
            self.process.kill()


class Commands(unittest.TestCase):
    def server(self, *flags):
        server = Server(*flags)
        self.addCleanup(server.stop)
        return server

    def joined(self, command, server, *flags):
        """A client whose join was answered."""
        process = start(command, server.url, "--room=tea", *flags)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        for line in process.stdout:
            if "joined_room" in line:
                return process
        self.fail(f"not joined: {process.communicate()}")

    def test_what_is_said_is_heard(self):
        server = self.server()
        tap = self.joined("tap", server, "--json", "--count=5")
        code, lines, errors = run("connect", server.url, "--room=tea", "--room=milk", "--say=a \"b\" ä", lines="")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(types(lines), ["welcome", "joined_room", "joined_room", "ack", "ack"])
        code, lines, errors = finish(tap)
        self.assertEqual((code, errors), (0, ""))
        heard = [json.loads(line) for line in lines]
        for line in heard:
            self.assertEqual(line["direction"], "in")
            self.assertGreater(line["unixMs"], 1_700_000_000_000)
        messages = [line["message"] for line in heard if line["kind"] == "text"]
        self.assertEqual([it["type"] for it in messages], ["member_joined", "room_message", "member_left"])
        self.assertEqual(messages[1]["data"], 'a "b" ä')
        self.assertEqual(heard[1]["bytes"], len(json.dumps(messages[1], ensure_ascii=False, separators=(",", ":")).encode()))
        self.assertEqual((heard[-1]["kind"], heard[-1]["code"]), ("close", 1000))

    def test_lines_are_messages_and_their_end_is_the_end(self):
        server = self.server()
        lines = 'one\n{"type":"members","room":"tea"}\n\n{"type":"ping","id":"mine"}\ntwo'
        code, lines, errors = run("connect", server.url, "--room=tea", "--subprotocol=roomwire.json.v1", lines=lines)
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(types(lines), ["welcome", "joined_room", "ack", "members", "pong", "ack"])

    def test_many_lines_all_arrive_in_order(self):
        server = self.server("--rate-limit=off")
        tap = self.joined("tap", server, "--json", "--count=2004")
        text = "x" * 1_000
        code, _, errors = run("connect", server.url, "--room=tea", lines="".join(f"{n} {text}\n" for n in range(2_000)))
        self.assertEqual((code, errors), (0, ""))
        code, lines, errors = finish(tap)
        self.assertEqual((code, errors), (0, ""))
        data = [json.loads(line).get("message", {}).get("data") for line in lines]
        said = [one for one in data if one is not None]
        self.assertEqual(said, [f"{n} {text}" for n in range(2_000)])

    def test_what_is_refused_is_exit_1(self):
        server = self.server("--rate-limit=2/60")
        for arguments, part in (
            (["--room=user:ada", "--say=hi"], "refused: reserved: "),
            (["--json=hello"], "refused: bad_json: "),
            (["--json={\"type\":\"jion\"}"], "refused: unknown_type: "),
            (["--room=tea", "--say=1", "--say=2", "--say=3"], "it may be tried again after"),
        ):
            code, _, errors = run("connect", server.url, *arguments, lines="")
            self.assertEqual(code, 1, arguments)
            self.assertIn(part, errors)
        code, _, errors = run("tap", server.url, "--room=user:ada")
        self.assertEqual(code, 1)
        self.assertIn("refused: reserved: ", errors)

    def test_a_handshake_that_is_refused_is_exit_1(self):
        server = self.server()
        for url, flags, part in (
            (server.url, ["--origin=https://elsewhere.example"], "refused with 403 Forbidden"),
            (server.url + "nowhere", [], "refused with 404 Not Found, where 101 was expected: is the path right?"),
        ):
            code, lines, errors = run("connect", url, "--room=tea", "--say=hi", *flags, lines="")
            self.assertEqual((code, lines), (1, []))
            self.assertIn(part, errors)
        allowed = self.server("--allow-origin=https://elsewhere.example")
        code, _, errors = run("connect", allowed.url, "--origin=https://elsewhere.example", lines="")
        self.assertEqual((code, errors), (0, ""))

    def test_a_server_that_leaves_is_exit_1(self):
        for command in ("connect", "tap"):
            server = self.server()
            client = self.joined(command, server)
            server.process.send_signal(signal.SIGTERM)
            code, lines, errors = finish(client)
            self.assertEqual(code, 1)
            self.assertIn("the server closed with 1012: ", errors)
            self.assertTrue(any("closing" in line for line in lines), lines)

    def test_a_server_that_is_killed_is_exit_1(self):
        for command in ("connect", "tap"):
            server = self.server()
            client = self.joined(command, server)
            server.process.kill()
            server.process.wait(timeout=WAIT_S)
            code, _, errors = finish(client)
            self.assertEqual(code, 1)
            self.assertRegex(errors, "the connection (ended without a goodbye|broke)")
            code, lines, errors = run("connect", server.url, "--room=tea", "--say=hi", lines="")
            self.assertEqual((code, lines), (1, []))
            self.assertIn(f"cannot connect to {server.address}: ", errors)
            self.assertIn("is the server running", errors)

    def test_ctrl_c_says_goodbye(self):
        server = self.server()
        # The welcome, its own join, and that each of the two comes and goes.
        other = self.joined("tap", server, "--count=6")
        for command in ("connect", "tap"):
            client = self.joined(command, server)
            client.send_signal(signal.SIGINT)
            code, lines, errors = finish(client)
            self.assertEqual((code, errors), (0, ""))
            if command == "tap":
                self.assertRegex(lines[-1], r"< +0 close 1000$")
        # To the server it was an orderly end.
        code, lines, errors = finish(other)
        self.assertEqual((code, errors), (0, ""))
        left = [line for line in lines if "member_left" in line]
        self.assertEqual(len(left), 2)
        for line in left:
            self.assertIn('"reason":"disconnected"', line)

    def test_a_reader_that_goes_ends_it_quietly(self):
        server = self.server()
        client = start("tap", server.url, "--room=tea")
        self.assertIn("open", client.stdout.readline())
        client.stdout.close()
        self.assertEqual(client.wait(timeout=WAIT_S), 0)
        self.assertEqual(client.stderr.read(), "")
        client.stdin.close()
        client.stderr.close()

    def test_it_speaks_tls(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        authority = Authority(folder)
        cert, key = authority.sign("one", "localhost")
        process = start("--listen=tls://127.0.0.1:0", f"--tls-cert={cert}", f"--tls-key={key}")
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        port = process.stdout.readline().rsplit(":", 1)[1].strip()
        url = f"wss://localhost:{port}/"
        code, lines, errors = run("connect", url, f"--ca={authority.root}", "--room=tea", "--say=hi", lines="")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(types(lines), ["welcome", "joined_room", "ack"])
        stranger = Authority(self.enterContext(tempfile.TemporaryDirectory()))
        code, lines, errors = run("connect", url, f"--ca={stranger.root}", "--room=tea", "--say=hi", lines="")
        self.assertEqual((code, lines), (1, []))
        self.assertIn("--ca names a PEM file", errors)
        # Without TLS at a listener that speaks it.
        code, lines, errors = run("connect", f"ws://localhost:{port}/", lines="")
        self.assertEqual((code, lines), (1, []))
        self.assertIn("wss://", errors)
        code, _, errors = run("connect", url, "--ca", Path(folder, "none.pem"), lines="")
        self.assertEqual(code, 2)
        self.assertIn("cannot be read", errors)


class AtTerminal(unittest.TestCase):
    """Someone types."""

    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.keys, terminal = pty.openpty()
        self.addCleanup(os.close, self.keys)
        arguments = ["connect", self.server.url, "--room=tea", "--say=hi"]
        take = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.client = start(*arguments, stdin=terminal, start_new_session=True, preexec_fn=take)
        os.close(terminal)
        self.addCleanup(self.client.communicate)
        self.addCleanup(self.client.kill)
        self.expect_ack()

    def expect_ack(self):
        for line in self.client.stdout:
            if json.loads(line)["type"] == "ack":
                return
        self.fail("no ack")

    def press(self, keys):
        os.write(self.keys, keys.encode())

    def expect_orderly_end(self):
        self.assertEqual(self.client.wait(timeout=WAIT_S), 0)
        self.assertEqual(self.client.stderr.read(), "")

    def test_what_is_typed_is_said_until_ctrl_d(self):
        self.press("and more\n")
        self.expect_ack()
        self.assertIsNone(self.client.poll())
        self.press("\x04")
        self.expect_orderly_end()

    def test_ctrl_c_ends_it(self):
        self.press("half a line\x03")
        self.expect_orderly_end()


if __name__ == "__main__":
    unittest.main()
