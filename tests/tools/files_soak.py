"""What `files-soak` does; see there."""

import argparse
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

MB = 1e6
PIECE = 1 << 20


def arguments():
    parser = argparse.ArgumentParser(description="One file to many receivers")
    parser.add_argument("--size", type=int, default=1 << 30)
    parser.add_argument("--slow-rate", type=int, default=1_000_000)
    parser.add_argument("--receivers", type=int, default=10)
    parser.add_argument("--bin", required=True)
    return parser.parse_args()


def make_file(path, size):
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while size > 0:
            piece = os.urandom(min(size, PIECE))
            digest.update(piece)
            file.write(piece)
            size -= len(piece)
    return digest.hexdigest()


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rss_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


class Client:
    """A program that says what happens as JSON, a line each."""

    def __init__(self, *words):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([str(word) for word in words], **pipes)
        self.events = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line) | {"at": time.monotonic()})

    def wait_for(self, event, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for found in self.events:
                if found["event"] == event:
                    return found
            time.sleep(0.01)
        raise TimeoutError(f"no {event}: {self.events[-1:]} {self.process.poll()}")

    def end(self, seconds):
        code = self.process.wait(seconds)
        self.thread.join()
        return code, self.process.stderr.read()


def watch(pid, peaks, stop):
    while not stop.wait(0.05):
        with contextlib.suppress(OSError, TypeError):
            peaks.append(rss_bytes(pid))


def files(options, folder, path, digest):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROOMWIRE_")}
    server = subprocess.Popen([options.bin, "--listen=127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=environment)
    clients = []
    try:
        address = server.stdout.readline().removeprefix("listening on ").strip()
        url = f"ws://{address}/"

        def receiver(number, *flags):
            into = folder / f"receiver-{number}"
            into.mkdir(exist_ok=True)
            words = [options.bin, "receive-files", url, "--room=soak", f"--into={into}", "--count=1", "--json-lines"]
            client = Client(*words, *flags)
            clients.append(client)
            client.wait_for("waiting")
            return client

        receivers = {0: receiver(0, f"--limit-bytes-per-s={options.slow_rate}")}
        receivers |= {number: receiver(number) for number in range(1, options.receivers)}
        idle = rss_bytes(server.pid)
        peaks, stop = [idle], threading.Event()
        threading.Thread(target=watch, args=(server.pid, peaks, stop), daemon=True).start()

        sender = Client(options.bin, "send-file", url, "--room=soak", path, "--json-lines")
        clients.append(sender)
        sender.wait_for("offered", 120)

        # The second one is killed halfway.
        part = folder / "receiver-1" / f".{path.name}.part"
        while not part.exists() or part.stat().st_size < options.size // 2:
            if receivers[1].process.poll() is not None:
                raise RuntimeError("the receiver was done before it could be killed: make --size larger")
            time.sleep(0.002)
        os.kill(receivers[1].process.pid, signal.SIGKILL)
        receivers[1].process.wait()
        had = part.stat().st_size
        receivers[1] = receiver(1, "--resume")

        limit = 120 + 20 * options.size / options.slow_rate
        code, errors = sender.end(limit)
        outcome = sender.events[-1]
        for number, client in receivers.items():
            client_code, client_errors = client.end(60)
            if client_code != 0:
                raise RuntimeError(f"receiver {number}: {client_code} {client_errors}")
            if sha256(folder / f"receiver-{number}" / path.name) != digest:
                raise RuntimeError(f"receiver {number}: the hash is wrong")
        stop.set()
        resumed = receivers[1].wait_for("resumed")
        if (outcome["completed"], outcome["failed"]) != (options.receivers, 1) or code != 1 or resumed["offset"] != had:
            raise RuntimeError(f"expected one copy that failed, and that one resumed at {had}: {outcome} {errors}")
        received = {number: client.wait_for("received") for number, client in receivers.items()}
        fast = [options.size / it["seconds"] / MB for number, it in received.items() if number > 1]
        print(f"hashes: {options.receivers} of {options.receivers} are right")
        print(f"fast receivers: {min(fast):.1f} to {max(fast):.1f} MB/s each, {sum(fast):.0f} MB/s together")
        print(f"slow receiver: {options.size / received[0]['seconds'] / MB:.2f} MB/s, {received[0]['seconds']:.0f} s")
        print(f"killed receiver: had {had} bytes, then took {received[1]['bytes']} more")
        twice = outcome["bytes"] - options.size
        print(f"sent by the sender: {outcome['bytes']} bytes, {twice} of them once more ({twice / options.size:.2f} files)")
        print(f"server: {idle / MB:.1f} MB idle, at most {(max(peaks) - idle) / MB:.1f} MB above that")
        return min(fast)
    finally:
        for client in clients:
            if client.process.poll() is None:
                client.process.kill()
                client.process.wait()
        server.terminate()
        server.wait(30)


def receive_raw(address, size, into):
    with socket.create_connection(address) as end, into.open("wb") as file:
        buffer = bytearray(PIECE)
        digest = hashlib.sha256()
        while size > 0:
            count = end.recv_into(buffer)
            if count == 0:
                sys.exit("the relay ended early")
            piece = memoryview(buffer)[:count]
            digest.update(piece)
            file.write(piece)
            size -= count


def raw_relay(options, folder, path, count):
    """One process that passes what it reads from one socket on to all others, and as many that write what they get and
    hash it, as the programs do."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    children = []

    def fork(work):
        pid = os.fork()
        if pid == 0:
            work()
            os._exit(0)
        children.append(pid)

    for number in range(count):
        into = folder / f"raw-{number}"
        fork(lambda into=into: receive_raw(address, options.size, into))
    receivers = [listener.accept()[0] for _ in range(count)]

    def send():
        with socket.create_connection(address) as end, path.open("rb") as file:
            end.sendfile(file)

    fork(send)
    sender, _ = listener.accept()
    begun = time.monotonic()
    buffer = bytearray(1 << 18)
    while got := sender.recv_into(buffer):
        piece = memoryview(buffer)[:got]
        for receiver in receivers:
            receiver.sendall(piece)
    for end in (sender, *receivers):
        end.close()
    for pid in children:
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise RuntimeError("the relay failed")
    took = time.monotonic() - begun
    return options.size / took / MB


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="roomwire-soak-") as name:
        folder = Path(name)
        path = folder / "file.bin"
        digest = make_file(path, options.size)
        print(f"{options.size} bytes to {options.receivers} receivers", flush=True)
        ours = files(options, folder, path, digest)
        for copy in folder.glob("receiver-*/*"):
            copy.unlink()
        raw = raw_relay(options, folder, path, options.receivers)
        print(f"bare TCP relay: {raw:.1f} MB/s each; ours is {ours / raw:.2f} of that")


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
        sys.exit(f"files-soak: {error}")
