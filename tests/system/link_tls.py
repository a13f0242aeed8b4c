#!/usr/bin/python3
"""TLS between the nodes and to the witness: link_tls.py SCENARIO (each is a function below)."""

import shutil
import socket
import ssl
import sys
import tempfile
from pathlib import Path

from keys import Authority
from lab import MIB, Cluster, Writer, check_writes, client_of, expect, run, step, wait_until

BOTH = "tls_www_server\ntls_www_client\n"  # a node calls and is called


class SecureCluster(Cluster):
    """Each node and the witness with a certificate of its own, for its name."""

    def __init__(self, **options):
        self.keys = Path(tempfile.mkdtemp(prefix="lockstep-keys-"))
        self.authority = Authority(self.keys / "ours")
        super().__init__(**options)
        for node in self.nodes:
            self.certify(node, self.authority)
        certificate, key = self.authority.sign("gamma", BOTH + "dns_name = gamma")
        self.gamma.argv += ["--tls-certificate", certificate, "--tls-key", key, "--tls-ca", self.authority.ca]
        self.write_config()

    def certify(self, node, authority, name=None):
        certificate, key = authority.sign(node.name, BOTH + f"dns_name = {name or node.name}")
        node.more = f"    net {{ tls yes; tls-certificate {certificate}; tls-key {key}; tls-ca {self.authority.ca}; }}\n"

    def close(self, failed):
        super().close(failed)
        shutil.rmtree(self.keys, ignore_errors=True)


def link_of(node):
    return node.status()["connections"][0]


def again(node):
    """With the configuration as it is now."""
    node.do("down", "r0")
    node.do("up", "r0")


def replicated():
    """Writes, a Primary that is killed, and the other one in its place: all of it under TLS."""
    with SecureCluster(size=64 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        for node in cluster.nodes:
            expect(link_of(node)["tls"], f"{node.name} does not say that its link has TLS")
            expect(all(voter["answers"] for voter in node.status()["voters"]), f"{node.status()['voters']}")
        client = client_of(alpha)
        for at in range(16, 60, 4):
            client.pwrite(bytes([at + 1]) * (4 * MIB), at * MIB)
        client.flush()
        client.shutdown()
        step("44 MiB are replicated")
        uris = [node.uri() for node in cluster.nodes]
        writer = Writer(cluster, "w", uris, 4096)
        writer.wait_for(500)
        alpha.daemon.kill()
        took = beta.promote()
        writer.wait_for(writer.answered() + 500)
        step(f"alpha is killed; beta is Primary after {took:.1f} s")
        cluster.rejoin(alpha)
        alpha.wait_sync()
        writer.stop()
        check_writes(cluster, beta.uri(), 4096, [writer.log])
        beta.do("secondary", "r0")
        cluster.compare_disks(60 * MIB)
        step("no acknowledged write is lost, and the copies are equal")


def strangers():
    """Who has no certificate of the authority, or one for somebody else, is turned away, and both ends say why."""
    with SecureCluster(size=36 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        context = ssl.create_default_context(cafile=str(cluster.authority.ca))
        context.check_hostname = False
        for certificates in [None, Authority(cluster.keys / "theirs").sign("alpha", BOTH), cluster.authority.sign("alpha", BOTH)]:
            try:
                if certificates:
                    context.load_cert_chain(*certificates)
                with socket.create_connection((alpha.address, alpha.port), 20) as sock, context.wrap_socket(sock) as secure:
                    expect(secure.version() == "TLSv1.3", f"{secure.version()}")
                    secure.sendall(b"x" * 64)
                    got = secure.recv(1)
                refused = not got
            except (ssl.SSLError, ConnectionError):
                refused = True
            expect(refused, f"{certificates} is answered")
        with socket.create_connection((alpha.address, alpha.port), 20) as sock:
            sock.sendall(b"LKST" + bytes(60))
            try:
                while sock.recv(4096):  # an alert, perhaps, and the end
                    pass
            except ConnectionResetError:
                pass
        expect(alpha.connection() == "Connected", "strangers disturb the link")
        step("strangers are turned away")

        cases = [("a certificate of another authority", lambda: cluster.certify(beta, Authority(cluster.keys / "others"))),
                 ("a certificate for another name", lambda: cluster.certify(beta, cluster.authority, "delta")),
                 ("no TLS", lambda: setattr(beta, "more", ""))]
        for what, change in cases:
            change()
            cluster.write_config()
            before = {node.name: node.daemon.log.stat().st_size for node in cluster.nodes}
            again(beta)
            for node in cluster.nodes:
                told = wait_until(lambda: why_away(node, before[node.name]), f"{node.name} to say why there is no link: {what}")
                step(f"{what}: {node.name}: {told}")
            expect(alpha.connection() != "Connected", f"beta is connected with {what}")
        cluster.certify(beta, cluster.authority)
        cluster.write_config()
        again(beta)
        wait_until(lambda: alpha.connection() == "Connected" and beta.connection() == "Connected", "the link to come back")
        beta.wait_sync()
        step("with the right one it is back")


def why_away(node, log_before):
    """Of a link that does not come to stand: what status says, or where the caller is a stranger, the log."""
    link = link_of(node)
    texts = [str(link.get("refusal"))] + [str(path["error"]) for path in link["paths"]]
    texts += node.daemon.log.read_text(encoding="utf-8")[log_before:].splitlines()
    return next((text for text in texts if "TLS" in text or "certificate" in text or "tls yes" in text), None)


def renewed():
    """A certificate that is renewed counts for the next connection; files that cannot be used are told at once."""
    with SecureCluster(size=36 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        first = served(alpha, cluster)
        cluster.certify(alpha, cluster.authority)
        expect(served(alpha, cluster) != first, "the old certificate is still shown")
        for _ in range(2):
            beta.do("disconnect", "r0")
            wait_until(lambda: alpha.connection() != "Connected", "the link to go")
            beta.do("connect", "r0")
            wait_until(lambda: alpha.connection() == "Connected", "the link to come back")
        step("a renewed certificate is used without a restart")
        beta.do("down", "r0")
        for word, file in [("tls-key", "alpha.key"), ("tls-ca", "nothing.pem"), ("tls-certificate", "secret")]:
            was = beta.more
            beta.more = was.replace("}", f"{word} {cluster.authority.directory / file}; }}").replace(
                f"{word} {value_of(was, word)};", "", 1)
            cluster.write_config()
            text = beta.refuses([10], "up", "r0")
            expect(file in text and "TLS between the nodes" in text, text)
            step(text.strip())
            beta.more = was
        beta.more = beta.more.replace(f"tls-ca {cluster.authority.ca};", "")
        cluster.write_config()
        text = beta.refuses([10], "up", "r0")
        expect("tls-ca is missing" in text, text)
        step("what is missing is said")


def value_of(section, word):
    return section.split(f"{word} ")[1].split(";")[0]


def served(node, cluster):
    context = ssl.create_default_context(cafile=str(cluster.authority.ca))
    context.check_hostname = False
    context.load_cert_chain(cluster.authority.directory / "alpha.pem", cluster.authority.directory / "alpha.key")
    with socket.create_connection((node.address, node.port), 20) as sock, context.wrap_socket(sock) as secure:
        return secure.getpeercert(True)


SCENARIOS = [replicated, strangers, renewed]

if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    chosen = [scenario for scenario in SCENARIOS if scenario.__name__ == wanted]
    if not chosen:
        sys.exit(f"usage: link_tls.py {' | '.join(scenario.__name__ for scenario in SCENARIOS)}")
    sys.exit(run(chosen[0]))
