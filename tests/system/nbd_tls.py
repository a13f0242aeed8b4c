#!/usr/bin/python3
"""TLS for NBD clients: nbd_tls.py SCENARIO (each is a function below)."""

import os
import random
import shutil
import socket
import ssl
import struct
import sys
import tempfile
from pathlib import Path

import nbd
from keys import Authority, pre_shared_keys
from lab import MIB, Cluster, expect, run, step, tool, wait_until
from nbd_clients import clients_of

STARTTLS, ABORT, GO, LIST = 5, 2, 7, 3
ACK, ERR_INVALID, ERR_TLS_REQD = 1, (1 << 31) + 3, (1 << 31) + 5


class Keys:
    """A directory with an authority, for as long as the test runs."""

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="lockstep-keys-"))
        self.authority = Authority(self.directory / "ours")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def options(self, policy, psk=None, ca=True, allow=None):
        certificate, key = self.authority.server()
        words = f"nbd-tls {policy}; nbd-tls-certificate {certificate}; nbd-tls-key {key};"
        if ca:
            words += f" nbd-tls-ca {self.authority.ca};"
        if psk:
            words += f" nbd-tls-psk {psk};"
        if allow:
            words += f" nbd-tls-allow {allow};"
        return words


def client(node, certificates=None, psk=None, user=None):
    """Connected with the export r0, as a client that insists on TLS."""
    handle = nbd.NBD()
    handle.set_tls(nbd.TLS_REQUIRE)
    if certificates:
        handle.set_tls_certificates(str(certificates))
    if psk:
        handle.set_tls_psk_file(str(psk))
        handle.set_tls_username(user)
    handle.set_export_name("r0")
    handle.set_tls_verify_peer(True)
    handle.connect_tcp("localhost", str(node.nbd_port))
    return handle


def refused(node, what, **how):
    try:
        client(node, **how)
    except nbd.Error as error:
        return error.string
    raise AssertionError(f"{what} was let in")


def round_trip(handle, at=0):
    data = os.urandom(3 * MIB)
    handle.pwrite(data, at)
    handle.flush()
    expect(handle.pread(len(data), at) == data, "what was written does not come back")


def greeted(node, flags=3):
    sock = socket.create_connection(("127.0.0.1", node.nbd_port), timeout=20)
    greeting = sock.recv(18, socket.MSG_WAITALL)
    expect(greeting[:8] == b"NBDMAGIC", f"greeting {greeting!r}")
    sock.sendall(struct.pack(">I", flags))
    return sock


def option(code, data=b""):
    return struct.pack(">QII", 0x49484156454F5054, code, len(data)) + data


def taken(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        expect(more, f"closed after {len(data)} bytes of {count}")
        data += more
    return data


def answer_of(sock):
    """(option, type, data) of the next reply."""
    _, code, kind, length = struct.unpack(">QIII", taken(sock, 20))
    return code, kind, taken(sock, length)


def reply(sock):
    return answer_of(sock)[:2]


def forced():
    """Over TCP nothing but TLS; certificates and keys say who is who; by the unix socket no TLS is needed."""
    with Keys() as keys:
        psk = pre_shared_keys(keys.directory / "psk", "alice", "bob")
        with Cluster(size=36 * MIB, options=keys.options("forced", psk=psk)) as cluster:
            alpha = cluster.alpha
            cluster.bring_up(primary=alpha)
            mine = keys.authority.client_directory("client1", "organization = Example")
            handle = client(alpha, certificates=mine)
            round_trip(handle)
            shown = [(is_["client"], is_["tls"], is_["writes"]) for is_ in clients_of(alpha)]
            expect(shown == [("certificate CN=client1,O=Example", True, True)], f"{shown}")
            other = client(alpha, psk=psk, user="alice")
            expect(other.is_read_only(), "two clients may write")
            shown = {is_["client"] for is_ in clients_of(alpha)}
            expect("psk alice" in shown, f"{shown}")
            other.shutdown()
            handle.shutdown()
            wait_until(lambda: not clients_of(alpha), "the clients to go")
            other = client(alpha, psk=psk, user="alice")
            round_trip(other, 4 * MIB)
            other.shutdown()
            step("who a client is comes from its certificate or key, and who writes goes by that")

            with greeted(alpha) as sock:
                for code in [GO, LIST, 99]:
                    sock.sendall(option(code, struct.pack(">IH", 0, 0) if code == GO else b""))
                    expect(reply(sock) == (code, ERR_TLS_REQD), f"option {code} is answered without TLS")
                sock.sendall(option(ABORT))
                expect(reply(sock) == (ABORT, ACK), "ABORT is refused")
            with greeted(alpha) as sock:
                sock.sendall(option(1, b"r0"))
                expect(sock.recv(1) == b"", "EXPORT_NAME without TLS")
            expect(tool("nbdinfo", alpha.uri(tcp=True), check=False).returncode != 0, "nbdinfo is served in the clear")
            step("in the clear there is nothing but a word about TLS")

            stranger = Authority(keys.directory / "theirs").client_directory("client1", "organization = Example")
            (stranger / "ca-cert.pem").write_bytes(keys.authority.ca.read_bytes())
            refused(alpha, "a certificate of another authority", certificates=stranger)
            none = keys.directory / "none"
            none.mkdir()
            (none / "ca-cert.pem").write_bytes(keys.authority.ca.read_bytes())
            refused(alpha, "a client without a certificate", certificates=none)
            wrong = pre_shared_keys(keys.directory / "wrong", "alice", "mallory")
            for user in ["alice", "mallory"]:
                refused(alpha, f"{user} with a wrong key", psk=wrong, user=user)
            log = alpha.daemon.log.read_text()
            expect("did not get through TLS" in log, "the log has nothing of it")
            step("strangers are turned away")

            local = nbd.NBD()
            local.connect_uri(alpha.uri())
            round_trip(local, 8 * MIB)
            local.shutdown()
            step("the unix socket needs no TLS")
            secret = ["--object", f"tls-creds-x509,id=t,dir={mine},endpoint=client,verify-peer=yes"]
            image = f"driver=nbd,host=localhost,port={alpha.nbd_port},export=r0,tls-creds=t"
            out = tool("qemu-io", *secret, "--image-opts", image, "-c", "write -P 7 9M 1M", "-c", "flush", "-c", "read -P 7 9M 1M").stdout
            expect("read 1048576/1048576" in out and "verification failed" not in out, out)
            step("qemu speaks TLS with it")
            wait_until(lambda: not clients_of(alpha), "the clients to go")
            uri = f"nbds://alice@localhost:{alpha.nbd_port}/r0?tls-psk-file={psk}"
            data = keys.directory / "data"
            data.write_bytes(os.urandom(32 * MIB))
            tool("nbdcopy", "--requests=64", "--request-size=524288", data, uri)
            tool("nbdcopy", "--requests=64", "--request-size=524288", uri, keys.directory / "copy")
            with (keys.directory / "copy").open("rb") as copy:
                expect(copy.read(32 * MIB) == data.read_bytes(), "what was copied in does not come out")
            step("32 MiB in and out, 64 requests at a time")


def selective():
    """TLS for those who want it; names say who may open; names and certificates change without a restart."""
    with Keys() as keys:
        allowed = keys.directory / "allowed"
        allowed.write_text("# two clients\ndn:CN=one\ndns:two.example\n", encoding="ascii")
        with Cluster(size=36 * MIB, options=keys.options("selective", allow=allowed)) as cluster:
            alpha = cluster.alpha
            cluster.bring_up(primary=alpha)
            one = keys.authority.client_directory("one")
            two = keys.authority.client_directory("2", "dns_name = two.example")
            three = keys.authority.client_directory("three", "dns_name = one")
            for certificates in [one, two]:
                handle = client(alpha, certificates=certificates)
                round_trip(handle)
                handle.shutdown()
                wait_until(lambda: not clients_of(alpha), "the client to go")
            refused(alpha, "a client that is not named", certificates=three)
            with secured(alpha, three) as sock:
                text = told_at_go(sock)
                expect("CN=three is not among those who may open" in text, f"a client that is not named is told: {text}")
            with greeted(alpha) as sock:
                text = told_at_go(sock)
                expect("prove by TLS who they are" in text, f"a client without a name is told: {text}")
            step("only those who are named may open the export")

            allowed.write_text("dn:CN=three\n", encoding="ascii")
            client(alpha, certificates=three).shutdown()
            refused(alpha, "a client that was struck out", certificates=one)
            allowed.write_text("CN=three\n", encoding="ascii")
            client(alpha, certificates=three).shutdown()
            expect("what was loaded before stays in force" in alpha.daemon.log.read_text(), "no word about a list that cannot be read")
            step("a list that has changed counts for the next connection; one that cannot be read does not")

            allowed.write_text("dn:CN=three\n", encoding="ascii")
            before = served_certificate(alpha, three)
            keys.authority.server()  # in the place of the one before
            expect(served_certificate(alpha, three) != before, "the new certificate is not shown")
            step("so does a new certificate")

    with Keys() as keys:
        with Cluster(size=36 * MIB, options=keys.options("selective", ca=False)) as cluster:
            alpha = cluster.alpha
            cluster.bring_up(primary=alpha)
            handle = nbd.NBD()
            handle.connect_uri(alpha.uri(tcp=True))
            round_trip(handle)
            mine = keys.authority.client_directory("client")
            secure = client(alpha, certificates=mine)
            expect(not secure.is_read_only(), "one address, with TLS and without, is taken for two clients")
            round_trip(secure, 4 * MIB)
            handle.shutdown()
            secure.shutdown()
            step("without an authority nobody is asked for a name")


def secured(node, certificates):
    """A socket whose negotiation goes on under TLS."""
    sock = greeted(node)
    sock.sendall(option(STARTTLS))
    expect(reply(sock) == (STARTTLS, ACK), "STARTTLS is refused")
    context = ssl.create_default_context(cafile=str(certificates / "ca-cert.pem"))
    context.load_cert_chain(certificates / "client-cert.pem", certificates / "client-key.pem")
    return context.wrap_socket(sock, server_hostname="localhost")


def served_certificate(node, certificates):
    with secured(node, certificates) as secure:
        return secure.getpeercert(True)


def told_at_go(sock):
    sock.sendall(option(GO, struct.pack(">I", 2) + b"r0" + struct.pack(">H", 0)))
    return answer_of(sock)[2].decode()


def injected():
    """What somebody on the way puts in before TLS has no effect behind it."""
    with Keys() as keys:
        with Cluster(size=36 * MIB, options=keys.options("selective", ca=False)) as cluster:
            alpha = cluster.alpha
            cluster.bring_up(primary=alpha)
            with greeted(alpha) as sock:
                sock.sendall(option(STARTTLS) + option(8))
                while sock.recv(4096):
                    pass
            step("an option glued to STARTTLS ends the connection")
            for junk in [b"\xff" * 16, option(8), b"\x16\x03\x01" + b"\xff" * 40, random.Random(3).randbytes(300), b"\x15\x03\x03\x00\x02\x02\x28"]:
                with greeted(alpha) as sock:
                    sock.sendall(option(STARTTLS))
                    expect(reply(sock) == (STARTTLS, ACK), "STARTTLS is refused")
                    sock.sendall(junk)
                    try:
                        while sock.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass
            step("so does what is no TLS")
            with greeted(alpha) as sock:
                sock.sendall(option(STARTTLS, b"x"))
                expect(reply(sock)[1] == ERR_INVALID, "STARTTLS with data")
                sock.sendall(option(8))
                expect(reply(sock) == (8, ACK), "structured replies")
                sock.sendall(option(STARTTLS))
                expect(reply(sock) == (STARTTLS, ACK), "STARTTLS")
                context = ssl.create_default_context(cafile=str(keys.authority.ca))
                with context.wrap_socket(sock, server_hostname="localhost") as secure:
                    secure.sendall(option(STARTTLS))
                    expect(reply(secure) == (STARTTLS, ERR_INVALID), "TLS within TLS")
                    query = struct.pack(">I", 2) + b"r0" + struct.pack(">I", 1) + struct.pack(">I", 15) + b"base:allocation"
                    secure.sendall(option(10, query))
                    expect(reply(secure)[1] == ERR_INVALID, "structured replies that were agreed on in the clear still count")
            step("what was agreed before TLS is forgotten")


SCENARIOS = [forced, selective, injected]

if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    chosen = [scenario for scenario in SCENARIOS if scenario.__name__ == wanted]
    if not chosen:
        sys.exit(f"usage: nbd_tls.py {' | '.join(scenario.__name__ for scenario in SCENARIOS)}")
    sys.exit(run(chosen[0]))
