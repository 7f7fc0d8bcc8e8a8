"""Runs Autobahn's cases against the echo of a server, or of a client, and says how it did.

    python cases.py [--fast] SERVER
    python cases.py [--fast] --client CLIENT

SERVER is the program to run; CLIENT one that is given the address of the cases, and echoes what each sends. The cases
are Autobahn's own files, driven by `kosoku`. Nothing but strict passes is good enough. Run by tests/conformance, which
installs what this needs.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys

from kosoku import FailureError, run_fuzzingclient, run_fuzzingserver
from kosoku.cases import CASES

# Cases that come to no verdict, whatever a server does: data after a close, and close codes that nobody may send but
# that no RFC has defined.
OPEN = {"7.1.6", "7.13.1", "7.13.2"}
# How many cases there are, so that none can go missing.
PLAIN, COMPRESSED = 301, 216
# The largest message has 16 MiB, the most fragments are 65,536.
FLAGS = ["--listen", "127.0.0.1:0", "--echo", "--max-message-bytes", "16777216", "--log-level", "warn"]
MOST_S = 1_200
BASIC = [f"{n}.*" for n in (*range(1, 8), 9, 10)]
DEFLATE = ["12.*", "13.*"]
FEW = ["12.1.1", "12.2.4", "13.3.4", "13.7.1"]


class Server:
    def __init__(self, binary):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROOMWIRE_")}
        self.process = subprocess.Popen([binary, *FLAGS], stdout=subprocess.PIPE, text=True, env=environment)

    def __enter__(self):
        said = self.process.stdout.readline().split()
        if said[:2] != ["listening", "on"]:
            self.process.kill()
            sys.exit(f"expected `listening on ADDRESS`, got {said}: is it a server of this project?")
        return said[-1]

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("the server did not leave when it was asked to")
        code = self.process.returncode
        if code != 0:
            sys.exit(f"the server ended with {code}: expected 0, after all cases")


def negotiates(address):
    """Whether it takes an offer of permessage-deflate."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            if not piece:
                break
            head += piece
    if not head.startswith(b"HTTP/1.1 101 "):
        sys.exit(f"expected an upgrade of /echo, got {head!r}")
    return b"sec-websocket-extensions: permessage-deflate" in head.lower()


def mend(case):
    """The cases of compression hash what comes back. `kosoku` hands them bytes of a message that was compressed, and text
    of one that was not, as servers do with short ones: that has to be bytes, too."""
    hear = case.onMessage

    def mended(self, message, binary):
        if isinstance(message, str):
            message = message.encode("latin-1" if binary else "utf-8")
        return hear(self, message, binary)

    case.onMessage = mended


async def results(address, cases):
    run = run_fuzzingclient(f"ws://{address}/echo", cases, None, concurrency=4)
    try:
        return await asyncio.wait_for(run, MOST_S)
    except FailureError as failure:
        return failure.results


async def client_results(binary, cases):
    """The client runs all cases of one server, and must leave by itself."""
    async with run_fuzzingserver(cases, None, port=0) as server:
        client = await asyncio.create_subprocess_exec(binary, f"{server.address}:{server.port}")
        try:
            code = await asyncio.wait_for(client.wait(), MOST_S)
        except asyncio.TimeoutError:
            client.kill()
            sys.exit(f"the client was not through after {MOST_S} s")
        if code != 0:
            sys.exit(f"the client ended with {code}: expected 0, after all cases")
        try:
            return await asyncio.wait_for(server.get_result(), 60)
        except FailureError as failure:
            return failure.results


def verdict(result):
    """strict, open, non-strict or failed."""
    both = (result.behavior.value, result.behavior_close.value)
    if both == ("OK", "OK"):
        return "strict"
    if both == ("INFORMATIONAL", "INFORMATIONAL") and result.case_id in OPEN:
        return "open"
    if set(both) <= {"OK", "NON-STRICT"}:
        return "non-strict"
    return "failed"


def report(run, name, expected):
    """Runs cases, says how they went; true if all of them were as they should be."""
    found = {"strict": [], "open": [], "non-strict": [], "failed": []}
    for result in asyncio.run(run):
        kind = verdict(result)
        found[kind].append(result.case_id)
        if kind in ("non-strict", "failed"):
            ends = f"{result.behavior.value}, close {result.behavior_close.value} ({result.remote_close_code})"
            print(f"  {result.case_id}: {ends}: {result.result} {result.result_close}")
    count = sum(map(len, found.values()))
    parts = [f"{len(ids)} {kind}" + (f" ({' '.join(ids)})" if ids and kind != "strict" else "")
             for kind, ids in found.items()]
    good = len(found["strict"]) + len(found["open"])
    print(f"{name}: {good} of {count}: {', '.join(parts)}", flush=True)
    if expected is not None and count != expected:
        print(f"{name}: there should be {expected} cases: has the suite changed?")
        return False
    return good == count > 0


def server_is_good(binary, fast):
    name = os.path.basename(binary)
    with Server(binary) as address:
        good = report(results(address, BASIC), f"{name}, 1 to 10", PLAIN)
        compressed = f"{name}, 12 and 13 (permessage-deflate)"
        if not negotiates(address):
            print(f"{compressed}: not negotiated, none of {COMPRESSED} was run")
        elif fast:
            good &= report(results(address, FEW), f"{compressed}, a few", None)
        else:
            good &= report(results(address, DEFLATE), compressed, COMPRESSED)
    return good


def client_is_good(binary, fast):
    name = os.path.basename(binary)
    good = report(client_results(binary, BASIC), f"{name}, 1 to 10", PLAIN)
    compressed = f"{name}, 12 and 13 (permessage-deflate)"
    if fast:
        return good & report(client_results(binary, FEW), f"{compressed}, a few", None)
    return good & report(client_results(binary, DEFLATE), compressed, COMPRESSED)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("--client", action="store_true", help="the program is a client")
    options.add_argument("--fast", action="store_true", help="only a few cases of compression")
    options = options.parse_args()
    for case_id, case in CASES.items():
        if case_id.startswith(("12.", "13.")):
            mend(case)
    is_good = client_is_good if options.client else server_is_good
    return 0 if is_good(options.program, options.fast) else 1


if __name__ == "__main__":
    sys.exit(main())
