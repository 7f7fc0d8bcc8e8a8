"""Sessions outlive the process: clients are who they were at the server that is started after theirs, or beside it.

Run as a plain script with ROOMWIRE_BIN naming the server binary.
"""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from environment import environment

WAIT_S = 10.0


class Server:
    """One that listens, and what it logged once it has ended."""

    def __init__(self, *flags):
        binary = os.environ.get("ROOMWIRE_BIN")
        if not binary:
            sys.exit("ROOMWIRE_BIN is not set: it names the binary to test")
        self.process = subprocess.Popen(
            [binary, "--listen=127.0.0.1:0", *flags],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (127\.0\.0\.1:\d+)\n", line)
        if match is None:
            raise AssertionError(f"{line!r} {self.process.communicate(timeout=WAIT_S)}")
        self.url = f"ws://{match[1]}/"
        self.log = None

    def end(self, how=signal.SIGTERM):
        """Its exit code."""
        if self.log is None:
            self.process.send_signal(how)
            _, self.log = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end(signal.SIGKILL)


class Client:
    """One that asks, and hears what it is told."""

    def __init__(self, server):
        self.connection = connect(server.url, compression=None)
        self.socket = self.connection.__enter__()
        self.id = self.hear()["clientId"]

    def hear(self):
        return json.loads(self.socket.recv(timeout=WAIT_S))

    def ask(self, **message):
        self.socket.send(json.dumps(message | {"id": 1}))
        while True:
            answer = self.hear()
            if answer.get("id") == 1:
                return answer

    def session(self):
        told = self.ask(type="resume")
        return {"clientId": told["clientId"], "sessionSecret": told["sessionSecret"]}

    def cut(self):
        """Its network goes."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def told_to_go(self):
        """The code of the close frame, after all that came before it."""
        while True:
            try:
                self.hear()
            except ConnectionClosed as closed:
                return closed.rcvd.code

    def __enter__(self):
        return self

    def __exit__(self, *how):
        self.connection.__exit__(*how)


class Sessions(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.dir = Path(scratch.name) / "sessions"
        self.flags = [f"--session-dir={self.dir}"]

    def sessions(self):
        return sorted(path.name for path in self.dir.glob("*.session"))

    # covers A11-04, A11-08
    def test_a_restart_changes_nobody(self):
        with Server(*self.flags) as server:
            with Client(server) as ada, Client(server) as bob, Client(server) as eve, Client(server) as none:
                left, stays = bob.session(), eve.session()
                bob.ask(type="set_metadata", metadata={"name": "Bob"})
                bob.cut()
                said = ada.ask(type="private_message", to=left["clientId"], data="are you there?")
                self.assertEqual(said["type"], "ack")
                self.assertEqual(server.end(), 0)
                self.assertEqual(eve.told_to_go(), 1012)
                self.assertEqual(none.told_to_go(), 1012)
        names = sorted(f"{session['clientId']}.session" for session in (left, stays))
        self.assertEqual(self.sessions(), names)
        for path in self.dir.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        with Server(*self.flags) as server:
            with Client(server) as bob, Client(server) as eve, Client(server) as ada:
                back = bob.ask(type="resume", **left)
                self.assertEqual((back["resumed"], back["clientId"]), (True, left["clientId"]))
                self.assertEqual(bob.hear()["data"], "are you there?")
                metadata = bob.ask(type="set_metadata", metadata={"age": 7})["metadata"]
                self.assertEqual(metadata, {"name": "Bob", "age": 7})
                self.assertTrue(eve.ask(type="resume", **stays)["resumed"])
                # They can be found under the ids that they had.
                said = ada.ask(type="private_message", to=stays["clientId"], data="still you?")
                self.assertEqual(said["type"], "ack")
                self.assertEqual(eve.hear()["data"], "still you?")
                self.assertEqual(self.sessions(), [])
                self.assertEqual(server.end(), 0)

    def test_a_server_beside_it_takes_them_up(self):
        with Server(*self.flags) as old, Server(*self.flags) as new:
            with Client(old) as ada, Client(new) as back:
                session = ada.session()
                # As long as the old one has it the new one has not.
                self.assertEqual(back.ask(type="resume", **session)["code"], "stale_session")
                self.assertEqual(old.end(), 0)
                self.assertTrue(back.ask(type="resume", **session)["resumed"])
            self.assertEqual(new.end(), 0)

    def test_who_says_goodbye_is_forgotten_and_who_is_killed_too(self):
        with Server(*self.flags) as server:
            with Client(server) as ada, Client(server) as bob:
                gone, lost = ada.session(), bob.session()
                ada.socket.close()
                # The goodbye has been heard.
                while bob.ask(type="private_message", to=gone["clientId"], data=1)["type"] == "ack":
                    time.sleep(0.01)
                self.assertEqual(server.end(signal.SIGKILL), -signal.SIGKILL)
        with Server(*self.flags) as server, Client(server) as peer:
            for session in (gone, lost):
                self.assertEqual(peer.ask(type="resume", **session)["code"], "stale_session")
            self.assertEqual(server.end(), 0)

    def test_a_directory_that_goes_costs_sessions_and_is_told(self):
        with Server(*self.flags) as server:
            with Client(server) as ada, Client(server) as bob:
                ada.session(), bob.session()
                for path in self.dir.iterdir():
                    path.unlink()
                self.dir.rmdir()
                self.assertEqual(server.end(), 0)
            lines = [line for line in server.log.splitlines() if "cannot be saved" in line]
            self.assertEqual(len(lines), 1, server.log)
            self.assertIn(str(self.dir), lines[0])

    def test_what_cannot_be_used_is_an_error_that_names_it(self):
        self.dir.write_text("a file")
        binary = os.environ["ROOMWIRE_BIN"]
        ran = subprocess.run(
            [binary, "--listen=127.0.0.1:0", *self.flags],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        self.assertEqual(ran.returncode, 1)
        self.assertIn("session_store.dir", ran.stderr)


if __name__ == "__main__":
    unittest.main()
