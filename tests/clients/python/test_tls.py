"""Listeners that speak TLS, as clients nobody here wrote see them: Python's `ssl` and `websockets`, curl, openssl.

Run as a plain script with ROOMWIRE_BIN naming the server binary. The certificates come from an authority of the
test's own, made with openssl.
"""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from websockets.asyncio.client import connect

from environment import environment

WAIT_S = 5.0


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Authority:
    """Signs certificates that only its own root vouches for."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.root = self.folder / "root.crt"
        self.key = self.folder / "root.key"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *curve, "-keyout", self.key, "-out", self.root, "-days", 2, "-subj", "/CN=the authority")

    def sign(self, file, *names):
        """A certificate for these names; returns its file and that of its key."""
        cert, key, request = (self.folder / f"{file}.{kind}" for kind in ("crt", "key", "csr"))
        extensions = self.folder / f"{file}.ext"
        extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", *curve, "-keyout", key, "-out", request, "-subj", f"/CN={names[0]}")
        openssl(
            "x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self.key, "-CAcreateserial",
            "-days", 2, "-extfile", extensions, "-out", cert,
        )
        return cert, key


class Server:
    """A server with a listener that speaks TLS and a plain one."""

    def __init__(self, *certificates):
        binary = os.environ.get("ROOMWIRE_BIN")
        if not binary:
            sys.exit("ROOMWIRE_BIN is not set: it names the binary to test")
        files = [f"--tls-{kind}={file}" for pair in certificates for kind, file in zip(("cert", "key"), pair)]
        listeners = ["--listen=tls://127.0.0.1:0", "--listen=127.0.0.1:0"]
        self.process = subprocess.Popen(
            [binary, *listeners, *files, "--welcome-delay-ms=0"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port, self.plain = self.listening(), self.listening()

    def listening(self):
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (?:tls://)?127\.0\.0\.1:(\d+)\n", line)
        if not match:
            raise RuntimeError(f"expected 'listening on', got {line!r} {self.process.communicate()}")
        return int(match[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=WAIT_S)
        return self.process.returncode


class Client:
    """A WebSocket client, a call at a time.

    Not that of `websockets.sync`: it reads and writes on two threads, and Python 3.11's `ssl` then sometimes loses what
    is written while it reads a session ticket.
    """

    def __init__(self, uri, **options):
        self.loop = asyncio.Runner()
        self.socket = self.wait(connect(uri, **options))

    def wait(self, something):
        async def bounded():
            return await asyncio.wait_for(something, WAIT_S)

        return self.loop.run(bounded())

    def send(self, message):
        self.wait(self.socket.send(message))

    def recv(self):
        return self.wait(self.socket.recv())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wait(self.socket.close())
        self.loop.close()


def reach(port):
    """A plain connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def wss(port, context, name="localhost", raw=None):
    """A client over TLS, on a connection that stands if there is one."""
    raw = raw or reach(port)
    raw.setblocking(False)
    return Client(f"wss://{name}:{port}/", sock=raw, ssl=context, server_hostname=name)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.authority = Authority(cls.folder.name)
        cls.files = [cls.authority.sign("one", "localhost"), cls.authority.sign("two", "other.example")]
        cls.server = Server(*cls.files)
        cls.addClassCleanup(cls.server.end)

    def context(self, **limits):
        context = ssl.create_default_context(cafile=self.authority.root)
        for name, value in limits.items():
            setattr(context, name, value)
        return context

    def dial(self, name="localhost", **limits):
        raw = reach(self.server.port)
        return self.context(**limits).wrap_socket(raw, server_hostname=name)

    def websocket(self, name="localhost"):
        return wss(self.server.port, self.context(), name)

    # covers A9-09
    def test_websocket_clients_talk_to_each_other(self):
        plain = Client(f"ws://127.0.0.1:{self.server.plain}/")
        with self.websocket() as ada, plain as bob:
            for client in (ada, bob):
                self.assertEqual(json.loads(client.recv())["type"], "welcome")
            long = "x" * 50_000
            ada.send(json.dumps({"type": "broadcast", "data": long}))
            self.assertEqual(json.loads(bob.recv())["data"], long)
            bob.send(json.dumps({"type": "broadcast", "data": long}))
            self.assertEqual(json.loads(ada.recv())["data"], long)

    def test_both_versions_are_spoken_and_no_older_one(self):
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            with self.dial(minimum_version=version, maximum_version=version) as client:
                self.assertEqual(client.version(), name)
        old = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}", "-tls1_1"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
        )
        self.assertNotEqual(old.returncode, 0)

    def test_http_1_1_is_agreed_on(self):
        context = self.context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        raw = reach(self.server.port)
        with context.wrap_socket(raw, server_hostname="localhost") as client:
            self.assertEqual(client.selected_alpn_protocol(), "http/1.1")

    def test_each_name_has_its_certificate(self):
        for name in ("localhost", "other.example"):
            with self.dial(name) as client:
                names = client.getpeercert()["subjectAltName"]
                self.assertEqual(names, (("DNS", name),))
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.dial("third.example")

    def test_curl_and_openssl_are_served(self):
        port = self.server.port
        curl = subprocess.run(
            ["curl", "-sS", "--cacert", self.authority.root, "--resolve", f"localhost:{port}:127.0.0.1",
             f"https://localhost:{port}/health"],
            capture_output=True, text=True, timeout=30,
        )
        self.assertEqual((curl.returncode, curl.stderr), (0, ""))
        self.assertEqual(json.loads(curl.stdout)["status"], "healthy")
        head = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        client = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", self.authority.root,
             "-verify_hostname", "localhost", "-verify_return_error", "-quiet", "-ign_eof"],
            input=head, capture_output=True, text=True, timeout=30,
        )
        self.assertIn('"status":"healthy"', client.stdout, client.stderr)

    def test_http_at_the_port_of_tls_is_told_so(self):
        curl = subprocess.run(
            ["curl", "-sS", "-i", f"http://127.0.0.1:{self.server.port}/health"],
            capture_output=True, text=True, timeout=30,
        )
        self.assertEqual(curl.returncode, 0, curl.stderr)
        self.assertTrue(curl.stdout.startswith("HTTP/1.1 400 "), curl.stdout)
        self.assertIn("This port speaks TLS", curl.stdout)

    def test_tls_at_the_plain_port_is_told_so(self):
        raw = reach(self.server.plain)
        with raw, self.assertRaises(ssl.SSLError):
            self.context().wrap_socket(raw, server_hostname="localhost")
        with reach(self.server.plain) as raw:
            raw.sendall(b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(200))
            answer = raw.recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
        self.assertIn(b"TLS", answer)

    def test_who_says_nothing_is_cut_with_the_others_served(self):
        with reach(self.server.port) as silent:
            silent.sendall(b"\x16\x03\x01")
            with self.websocket() as client:
                self.assertEqual(json.loads(client.recv())["type"], "welcome")

    def test_connections_end_in_order(self):
        """Whoever closes first: without TLS's own goodbye an end may be an attack (RFC 8446, section 6.1)."""
        upgrade = (
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        close = b"\x88\x82\x00\x00\x00\x00\x03\xe8"
        health = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        for said, heard in ((upgrade + close, b"HTTP/1.1 101 "), (health, b"HTTP/1.1 200 ")):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                raw = reach(self.server.port)
                context = self.context(minimum_version=version, maximum_version=version)
                with context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as client:
                    client.sendall(said)
                    answer = b""
                    while more := client.recv(4096):
                        answer += more
                self.assertTrue(answer.startswith(heard), answer)

    def test_a_thousand_clients_are_served(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        request = (
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        with contextlib.ExitStack() as stack:
            context = self.context()
            clients = []
            for _ in range(1_000):
                raw = reach(self.server.port)
                clients.append(stack.enter_context(context.wrap_socket(raw, server_hostname="localhost")))
                clients[-1].sendall(request)
            for client in clients:
                heard = b""
                while b'"type":"welcome"' not in heard:
                    heard += client.recv(4096)
                self.assertTrue(heard.startswith(b"HTTP/1.1 101 "))

    def test_garbage_ends_the_connection_with_an_alert(self):
        with self.dial() as client:
            os.write(client.fileno(), b"\x17\x03\x03\x00\x28" + bytes(40))
            with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                while client.recv(4096):
                    pass
                raise ConnectionResetError


class Reload(unittest.TestCase):
    def test_sighup_reads_the_files_again_and_drops_nobody(self):
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder)
            server = Server(authority.sign("one", "before.example"))
            self.addCleanup(server.process.kill)

            def dial(name):
                raw = reach(server.port)
                context = ssl.create_default_context(cafile=authority.root)
                return context.wrap_socket(raw, server_hostname=name)

            context = ssl.create_default_context(cafile=authority.root)
            with wss(server.port, context, "before.example") as client:
                self.assertEqual(json.loads(client.recv())["type"], "welcome")
                authority.sign("one", "after.example")
                server.process.send_signal(signal.SIGHUP)
                end = time.monotonic() + WAIT_S
                while True:
                    try:
                        dial("after.example").close()
                        break
                    except ssl.SSLCertVerificationError:
                        self.assertLess(time.monotonic(), end, "the certificate is the old one")
                        time.sleep(0.02)
                # Wrong files change nothing.
                Path(folder, "one.crt").write_text("half a certificate")
                server.process.send_signal(signal.SIGHUP)
                time.sleep(0.2)
                dial("after.example").close()
                client.send('{"type":"ping"}')
                self.assertEqual(json.loads(client.recv())["type"], "pong")
            self.assertEqual(server.end(), 0)

    def test_under_load_nobody_is_dropped_or_refused(self):
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            authority = Authority(folder)
            authority.sign("one", "localhost")
            server = Server((Path(folder, "one.crt"), Path(folder, "one.key")))
            self.addCleanup(server.process.kill)
            context = ssl.create_default_context(cafile=authority.root)

            held = [stack.enter_context(wss(server.port, context)) for _ in range(50)]
            for client in held:
                self.assertEqual(json.loads(client.recv())["type"], "welcome")

            def come_and_go(_):
                serials = set()
                for _ in range(100):
                    with context.wrap_socket(reach(server.port), server_hostname="localhost") as client:
                        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                        serials.add(client.getpeercert()["serialNumber"])
                        answer = b""
                        while more := client.recv(4096):
                            answer += more
                        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
                return serials

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                coming = [pool.submit(come_and_go, number) for number in range(4)]
                while not all(each.done() for each in coming):
                    # The files differ for a moment: what does not fit together changes nothing.
                    authority.sign("one", "localhost")
                    server.process.send_signal(signal.SIGHUP)
                seen = set().union(*(each.result() for each in coming))
            self.assertGreater(len(seen), 2, "no certificate took another's place")
            for client in held:
                client.send('{"type":"ping"}')
                self.assertEqual(json.loads(client.recv())["type"], "pong")
            # They answer nothing between calls, so a server that leaves would wait for them.
            stack.close()
            self.assertEqual(server.end(), 0)


class BehindProxy(unittest.TestCase):
    # covers A3-06
    def test_a_header_of_the_proxy_protocol_comes_before_tls(self):
        addresses = bytes([203, 0, 113, 7, 198, 51, 100, 80]) + (4711).to_bytes(2, "big") + (443).to_bytes(2, "big")
        headers = (
            b"PROXY TCP4 203.0.113.7 198.51.100.80 4711 443\r\n",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + addresses,
        )
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder)
            cert, key = authority.sign("one", "localhost")
            config = Path(folder, "proxy.toml")
            config.write_text(
                # One thread: another would know a moment late that the address's connection has ended.
                "[threads]\ncount = 1\n[limits]\nmax_connections_per_ip = 1\n"
                f'[[certificate]]\ncert = "{cert}"\nkey = "{key}"\n'
                '[[listener]]\naddress = "tls://127.0.0.1:0"\ntrusted_proxies = ["127.0.0.1"]\nproxy_protocol = true\n'
            )
            process = subprocess.Popen(
                [os.environ["ROOMWIRE_BIN"], f"--config={config}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            self.addCleanup(process.kill)
            port = int(process.stdout.readline().rsplit(":", 1)[1])
            context = ssl.create_default_context(cafile=authority.root)

            def dial(header):
                raw = reach(port)
                raw.sendall(header)
                return raw

            for header in headers:
                with wss(port, context, raw=dial(header)) as client:
                    self.assertEqual(json.loads(client.recv())["type"], "welcome")
                    # It is one of the address's, which may have no other.
                    with dial(headers[0]) as second, contextlib.suppress(ConnectionResetError):
                        self.assertEqual(second.recv(4096), b"")
            for malformed in (b"\x16\x03\x01", b"PROXY TCP4 here there 1 2\r\n"):
                with dial(malformed) as raw, contextlib.suppress(ConnectionResetError):
                    self.assertEqual(raw.recv(4096), b"")
            curl = subprocess.run(
                ["curl", "-sS", "--haproxy-protocol", "--cacert", authority.root, "--resolve", f"localhost:{port}:127.0.0.1",
                 f"https://localhost:{port}/health"],
                capture_output=True, text=True, timeout=30,
            )
            self.assertEqual((curl.returncode, curl.stderr), (0, ""))
            self.assertEqual(json.loads(curl.stdout)["status"], "healthy")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=WAIT_S)
            self.assertEqual(process.returncode, 0)


class Refused(unittest.TestCase):
    def run_with(self, *flags):
        binary = os.environ["ROOMWIRE_BIN"]
        done = subprocess.run([binary, *flags], capture_output=True, text=True, timeout=WAIT_S)
        return done.returncode, done.stderr

    def test_what_is_wrong_with_the_settings_is_said(self):
        code, said = self.run_with("--listen=tls://127.0.0.1:0")
        self.assertEqual(code, 2)
        self.assertIn("--tls-cert", said)
        with tempfile.TemporaryDirectory() as folder:
            cert, key = Authority(folder).sign("one", "localhost")
            pair = (f"--tls-cert={cert}", f"--tls-key={key}")
            code, said = self.run_with("--listen=127.0.0.1:0", *pair)
            self.assertEqual(code, 2)
            self.assertIn("--listen tls://", said)
            code, said = self.run_with("--listen=tls://127.0.0.1:0", f"--tls-cert={cert}", f"--tls-key={cert}")
            self.assertEqual(code, 2)
            self.assertIn("no private key", said)
            code, said = self.run_with("--listen=tls://127.0.0.1:0", f"--tls-cert={cert}")
            self.assertEqual(code, 2)


if __name__ == "__main__":
    unittest.main()
