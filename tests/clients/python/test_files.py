"""The programs as ends of files: `send-file` and `receive-files` against a server of their own kind, which is killed,
cut off and starved now and then.

Run as a plain script with ROOMWIRE_BIN naming the binary.
"""

import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from environment import environment
from test_commands import Server, finish, run, start

WAIT_S = 40.0


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def until(condition, what):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WAIT_S} s: {what}")
        time.sleep(0.02)


def events(lines):
    return [json.loads(line) for line in lines]


def first_line(process):
    """The first line, and not a byte of what follows: that is for whoever waits for the end."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(process.stdout.fileno(), 1)):
        line += byte
    return line


class Proxy:
    """Passes bytes on to the server until it is told to cut everything off."""

    def __init__(self, port):
        self.port = int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.sockets = []
        self.passed = 0
        self.cuts = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            self.sockets += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=ends, daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
                self.passed += len(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def cut(self):
        self.cuts += 1
        sockets, self.sockets = self.sockets, []
        for end in sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        self.cut()


class Files(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def server(self, *flags):
        server = Server(*flags)
        self.addCleanup(server.stop)
        return server

    def file(self, size, name="a.bin"):
        path = self.directory / name
        path.write_bytes(os.urandom(size))
        return path

    def into(self, name="in"):
        path = self.directory / name
        path.mkdir(exist_ok=True)
        return path

    def receiver(self, url, into, *flags, room="tea", **options):
        """One that waits: its process and its client id."""
        rooms = [f"--room={room}"] if room else []
        process = start("receive-files", url, *rooms, f"--into={into}", "--json-lines", *flags, **options)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        waiting = json.loads(first_line(process) or "{}")
        self.assertEqual(waiting.get("event"), "waiting", process.poll())
        return process, waiting["client"]

    def sender(self, url, *arguments):
        process = start("send-file", url, *arguments, "--json-lines")
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def end(self, process):
        out, errors = process.communicate(timeout=WAIT_S)
        return process.returncode, events(out.splitlines()), errors

    # covers A5
    def test_a_file_comes_to_everyone_in_the_room_as_it_was(self):
        server, path = self.server(), self.file(3_000_001)
        receivers = [self.receiver(server.url, self.into(str(n)), "--count=1")[0] for n in range(3)]
        code, lines, errors = run("send-file", server.url, "--room=tea", path)
        self.assertEqual((code, errors), (0, ""))
        self.assertRegex(lines[0], r"^sent .*/a\.bin: 3000001 bytes to 3 in [0-9.]+ s \([0-9.]+ MB/s\)$")
        for n, receiver in enumerate(receivers):
            code, told, errors = self.end(receiver)
            self.assertEqual((code, errors), (0, ""))
            self.assertEqual([it["event"] for it in told], ["begun", "received"])
            self.assertEqual(told[1]["sha256"], sha256(path))
            self.assertEqual(sha256(self.directory / str(n) / "a.bin"), sha256(path))
            self.assertEqual(os.listdir(self.directory / str(n)), ["a.bin"], "nothing is left")

    def test_several_files_to_one_client_alone(self):
        server = self.server()
        paths = [self.file(size, f"{size}.bin") for size in (0, 1, 65_536, 65_537, 700_000, 5)]
        receiver, client = self.receiver(server.url, self.into(), "--count=6", room=None)
        for hashes in ([], ["--no-hash"]):
            code, told, errors = self.end(self.sender(server.url, f"--to={client}", *hashes, *paths))
            self.assertEqual((code, errors), (0, ""))
            if not hashes:
                self.assertEqual(self.end(receiver)[0], 0)
                receiver, client = self.receiver(server.url, self.into(), "--count=6", room=None)
            self.assertEqual(sorted(it["size"] for it in told if it["event"] == "sent"), [0, 1, 5, 65_536, 65_537, 700_000])
        self.assertEqual(self.end(receiver)[0], 0)
        for path in paths:
            for name in (path.name, f"{path.stem} (1).bin"):
                self.assertEqual(sha256(self.into() / name), sha256(path), "a second one of the name overwrites nothing")
        self.assertEqual(len(os.listdir(self.into())), 12)

    def test_a_receiver_that_was_killed_goes_on_from_what_it_had(self):
        server, path = self.server(), self.file(6_000_000)
        other, _ = self.receiver(server.url, self.into("other"), "--count=1", "--limit-bytes-per-s=2000000")
        killed, _ = self.receiver(server.url, self.into(), "--count=1", "--limit-bytes-per-s=2000000")
        sender = self.sender(server.url, "--room=tea", path)
        part = self.into() / ".a.bin.part"
        until(lambda: part.exists() and part.stat().st_size > 2_000_000, "a part")
        killed.kill()
        killed.wait()
        had = part.stat().st_size
        state = json.loads(Path(f"{part}.json").read_text())
        self.assertEqual((state["name"], state["size"], state["sha256"]), ("a.bin", 6_000_000, sha256(path)))
        again, _ = self.receiver(server.url, self.into(), "--count=1", "--resume")
        code, told, _ = self.end(again)
        self.assertEqual(code, 0, told)
        self.assertEqual([it["event"] for it in told], ["resumed", "received"])
        self.assertEqual(told[0]["offset"], had)
        self.assertEqual(told[1]["bytes"], 6_000_000 - had)
        self.assertEqual(sha256(self.into() / "a.bin"), sha256(path))
        self.assertEqual(os.listdir(self.into()), ["a.bin"])
        self.assertEqual(self.end(other)[0], 0)
        code, told, errors = self.end(sender)
        self.assertEqual(code, 1, "one of the copies that were begun has failed")
        self.assertEqual((told[-1]["completed"], told[-1]["failed"]), (2, 1))
        self.assertIn("2 have it, and 1 who began do not", errors)

    def test_a_part_is_gone_on_with_when_the_file_is_sent_again(self):
        server, path = self.server(), self.file(2_000_000)
        receiver, _ = self.receiver(server.url, self.into(), "--limit-bytes-per-s=500000")
        sender = self.sender(server.url, "--room=tea", path)
        part = self.into() / ".a.bin.part"
        until(lambda: part.exists() and part.stat().st_size > 500_000, "a part")
        sender.send_signal(signal.SIGINT)
        code, told, errors = self.end(sender)
        self.assertEqual((code, told[-1]["event"], told[-1]["why"]), (1, "failed", "interrupted"))
        while json.loads(line := first_line(receiver))["event"] != "failed":
            pass
        self.assertEqual(json.loads(line)["why"], "the sender gave it up: interrupted")
        receiver.send_signal(signal.SIGINT)
        code, _, errors = self.end(receiver)
        self.assertEqual(code, 1)
        self.assertIn("--resume goes on from there", errors)
        had = part.stat().st_size
        receiver, _ = self.receiver(server.url, self.into(), "--resume", "--count=1")
        self.assertEqual(self.end(self.sender(server.url, "--room=tea", path))[0], 0)
        code, told, _ = self.end(receiver)
        self.assertEqual((code, told[0]["offset"]), (0, had))
        self.assertEqual(sha256(self.into() / "a.bin"), sha256(path))

    def test_another_file_of_the_name_is_another_file(self):
        server, path = self.server(), self.file(200_000)
        (self.into() / ".a.bin.part").write_bytes(b"not a part of it")
        state = {"transfer": 1, "from": "x", "name": "a.bin", "size": 200_000, "sha256": "00" * 32}
        (self.into() / ".a.bin.part.json").write_text(json.dumps(state))
        receiver, _ = self.receiver(server.url, self.into(), "--resume", "--count=1")
        self.assertEqual(self.end(self.sender(server.url, "--room=tea", path))[0], 0)
        self.assertEqual(self.end(receiver)[0], 0)
        self.assertEqual(sha256(self.into() / "a.bin"), sha256(path))
        self.assertEqual((self.into() / ".a.bin.part").read_bytes(), b"not a part of it")

    def test_a_part_that_was_spoilt_is_noticed(self):
        server, path = self.server(), self.file(200_000)
        (self.into() / ".a.bin.part").write_bytes(b"x" * 100_000)
        state = {"transfer": 1, "from": "x", "name": "a.bin", "size": 200_000, "sha256": sha256(path)}
        (self.into() / ".a.bin.part.json").write_text(json.dumps(state))
        receiver, _ = self.receiver(server.url, self.into(), "--resume", "--count=1")
        code, _, _ = self.end(self.sender(server.url, "--room=tea", path))
        self.assertEqual(code, 1)
        code, told, errors = self.end(receiver)
        self.assertEqual(code, 1)
        self.assertIn("what came is not what was sent", errors)
        self.assertEqual(os.listdir(self.into()), [], "nothing of it is kept")

    def test_connections_that_are_lost_are_made_again(self):
        server, path = self.server(), self.file(4_000_000)
        proxies = [Proxy(server.port) for _ in range(2)]
        for proxy in proxies:
            self.addCleanup(proxy.close)
        receiver, _ = self.receiver(proxies[0].url, self.into(), "--count=1", "--limit-bytes-per-s=2000000")
        sender = self.sender(proxies[1].url, "--room=tea", path)
        for size, proxy in ((1_000_000, proxies[1]), (2_000_000, proxies[1]), (3_000_000, proxies[0])):
            part = self.into() / ".a.bin.part"
            until(lambda: part.exists() and part.stat().st_size > size, "a part")
            proxy.cut()
        code, told, errors = self.end(receiver)
        self.assertEqual(code, 0, errors)
        self.assertEqual(sha256(self.into() / "a.bin"), sha256(path))
        self.assertEqual([it["event"] for it in told], ["begun", "waiting", "resumed", "received"])
        self.assertGreater(told[2]["offset"], 3_000_000)
        code, told, errors = self.end(sender)
        self.assertEqual([it["event"] for it in told].count("resumed"), 2, told)
        self.assertIn("the connection was lost; trying again", errors)
        # The receiver was away once, which the server counts as a copy that failed.
        self.assertEqual((told[-1]["completed"], told[-1]["failed"]), (1, 1))
        self.assertLess(told[-1]["bytes"], 4_000_000 + 3 * 1_100_000, "what was passed on is not asked for again")

    def test_a_server_that_restarts_has_forgotten_the_file_and_says_so(self):
        server, path = self.server(), self.file(2_000_000)
        receiver, _ = self.receiver(server.url, self.into(), "--count=1", "--limit-bytes-per-s=500000")
        sender = self.sender(server.url, "--room=tea", path)
        part = self.into() / ".a.bin.part"
        until(lambda: part.exists() and part.stat().st_size > 500_000, "a part")
        server.process.kill()
        server.process.communicate()
        self.server(f"--listen={server.address}")
        code, told, errors = self.end(sender)
        self.assertEqual((code, told[-1]["event"]), (1, "failed"))
        self.assertIn("transfer_unknown", errors)
        self.assertIn("send it again", errors)
        # The receiver waits on, and goes on with what it has.
        had = part.stat().st_size
        self.assertEqual(self.end(self.sender(server.url, "--room=tea", path))[0], 0)
        code, told, _ = self.end(receiver)
        self.assertEqual(code, 0)
        self.assertEqual([it["offset"] for it in told if it["event"] == "resumed"], [had])
        self.assertEqual(sha256(self.into() / "a.bin"), sha256(path))

    def test_names_are_never_paths(self):
        server, path = self.server(), self.file(10)
        names = ["../../escaped", "/etc/passwd", "..", ".bashrc", "a\\b\\..\\evil.exe", ".a.part", "tab\there"]
        receiver, _ = self.receiver(server.url, self.into("deep"), f"--count={len(names)}")
        for name in names:
            code, _, errors = self.end(self.sender(server.url, "--room=tea", f"--name={name}", path))
            self.assertEqual((code, errors), (0, ""), name)
        self.assertEqual(self.end(receiver)[0], 0)
        found = os.listdir(self.into("deep"))
        self.assertEqual(len(found), len(names), found)
        for name in found:
            self.assertFalse(name.startswith("."), name)
            self.assertEqual((self.into("deep") / name).read_bytes(), path.read_bytes())
        self.assertEqual(sorted(os.listdir(self.directory)), ["a.bin", "deep"])

    def test_a_file_that_is_larger_than_files_may_be(self):
        server, path = self.server(), self.file(2_000_000)

        def starve():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

        starved, _ = self.receiver(server.url, self.into(), "--count=1", preexec_fn=starve)
        other, _ = self.receiver(server.url, self.into("other"), "--count=1")
        sender = self.sender(server.url, "--room=tea", path)
        code, told, errors = self.end(starved)
        self.assertEqual((code, told[-1]["event"]), (1, "failed"))
        self.assertIn("ulimit -f", errors)
        part = self.into() / ".a.bin.part"
        self.assertLessEqual(part.stat().st_size, 1_000_000)
        self.assertEqual(self.end(other)[0], 0, "the others go on")
        self.assertEqual(self.end(sender)[0], 1)
        # With room it goes on from there, and what is there is right.
        had = part.stat().st_size
        again, _ = self.receiver(server.url, self.into(), "--count=1", "--resume")
        self.assertEqual(self.end(self.sender(server.url, "--room=tea", path))[0], 0)
        code, told, _ = self.end(again)
        self.assertEqual((code, told[0]["offset"]), (0, had))
        self.assertEqual(sha256(self.into() / "a.bin"), sha256(path))

    def test_a_disk_that_is_full(self):
        full = self.into("full")
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(full)]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(full)], check=True)
        server, path = self.server(), self.file(2_000_000)
        receiver, _ = self.receiver(server.url, full, "--count=1")
        # Without anybody at it, the transfer would wait for somebody.
        other, _ = self.receiver(server.url, self.into("other"), "--count=1")
        self.assertEqual(self.end(self.sender(server.url, "--room=tea", path))[0], 1)
        code, told, errors = self.end(receiver)
        self.assertEqual((code, told[-1]["event"]), (1, "failed"))
        self.assertIn("the disk is full", errors)
        self.assertEqual(self.end(other)[0], 0)

    def test_what_is_wrong_is_said_before_anything_begins(self):
        server, path = self.server(), self.file(10)
        url, missing = server.url, self.directory / "missing"
        for arguments, part in (
            (["receive-files", url, "--room=tea", f"--into={missing}"], "name a directory that exists"),
            (["receive-files", url, "--room=tea", f"--into={path}"], "this is no directory"),
            (["receive-files", url, "--room=tea"], "--into"),
            (["send-file", url, "--room=tea", missing], "missing: No such file"),
            (["send-file", url, "--room=tea", self.directory], "this is no regular file"),
            (["send-file", url, path], "--room"),
            (["send-file", url, "--room=tea", "--to=client_x", path], "expected a client id"),
            (["send-file", url, "--room=tea", "--name=x", path, path], "--name is for one file"),
        ):
            code, _, errors = run(*arguments)
            self.assertEqual(code, 2, arguments)
            self.assertIn(part, errors)
        nobody = "client_" + "A" * 24
        for arguments, part in (
            (["send-file", url, f"--to={nobody}", path], "target_not_found"),
            (["send-file", url, "--room=user:ada", path], "cannot join user:ada: reserved"),
            (["receive-files", url, "--room=user:ada", f"--into={self.directory}"], "cannot join user:ada: reserved"),
            (["send-file", "ws://127.0.0.1:1/", "--room=tea", path], "nobody listens there"),
        ):
            code, _, errors = run(*arguments)
            self.assertEqual(code, 1, arguments)
            self.assertIn(part, errors)

    def test_a_file_that_is_too_large_is_not_taken(self):
        server, path, small = self.server(), self.file(1_001), self.file(1_000, "small")
        receiver, _ = self.receiver(server.url, self.into(), "--count=2", "--max-bytes=1000")
        sender = self.sender(server.url, "--room=tea", path, small)
        code, told, errors = self.end(receiver)
        self.assertEqual(code, 1)
        self.assertIn("it has 1001 bytes, and --max-bytes 1000 allows no more", errors)
        self.assertEqual(sorted(it["event"] for it in told), ["begun", "received", "refused"])
        self.assertEqual(os.listdir(self.into()), ["small"])
        sender.send_signal(signal.SIGINT)
        self.assertEqual(self.end(sender)[0], 1)

    def test_ctrl_c_ends_a_receiver_in_order(self):
        server, path = self.server(), self.file(1_000_000)
        idle, _ = self.receiver(server.url, self.into("idle"))
        idle.send_signal(signal.SIGINT)
        self.assertEqual(self.end(idle), (0, [], ""))
        receiver, _ = self.receiver(server.url, self.into(), "--limit-bytes-per-s=100000")
        other, _ = self.receiver(server.url, self.into("other"), "--count=1")
        sender = self.sender(server.url, "--room=tea", path)
        part = self.into() / ".a.bin.part"
        until(lambda: part.exists() and part.stat().st_size > 0, "a part")
        time.sleep(0.3)
        receiver.send_signal(signal.SIGINT)
        code, told, errors = self.end(receiver)
        self.assertEqual((code, told[-1]["event"], told[-1]["why"]), (1, "failed", "interrupted"))
        self.assertTrue(part.exists())
        self.assertEqual(self.end(other)[0], 0)
        code, told, _ = self.end(sender)
        self.assertEqual((code, told[-1]["completed"], told[-1]["failed"]), (1, 1, 1))

    def test_binary_clients_say_bytes_and_are_read(self):
        server = self.server()
        tap = start("tap", server.url, "--room=tea", "--binary", "--json", "--count=6")
        self.addCleanup(tap.kill)
        for line in tap.stdout:
            if "joined_room" in line:
                break
        code, lines, errors = run("connect", server.url, "--room=tea", "--binary", lines="hi\n{\"a\":1}\n")
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual([it["type"] for it in events(lines)], ["welcome", "joined_room", "ack", "ack"])
        code, lines, errors = finish(tap)
        self.assertEqual((code, errors), (0, ""))
        heard = [it for it in events(lines) if it["kind"] == "binary"]
        self.assertEqual([it["frame"] for it in heard][:3], ["member_joined", "room_message", "room_message"])
        said = [(it["message"]["data"], it["message"]["encoding"]) for it in heard[1:3]]
        self.assertEqual(said, [("aGk=", "base64"), ("eyJhIjoxfQ==", "base64")])
        code, lines, errors = run("connect", server.url, "--room=user:ada", "--binary", lines="hi\n")
        self.assertEqual(code, 1)
        self.assertIn("refused: reserved: ", errors)


if __name__ == "__main__":
    unittest.main()
