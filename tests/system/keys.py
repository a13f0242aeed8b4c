"""Certificates and pre-shared keys, as an administrator would make them (certtool, psktool)."""

import secrets

from lab import tool


class Authority:
    """Signs certificates. Its files are ca.pem and those of each certificate that is asked for."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.key, self.ca = directory / f"{name}.key", directory / f"{name}.pem"
        self._key(self.key)
        template = self._template(name, f"cn = Lockstep test {name}\nca\ncert_signing_key\nexpiration_days = 30\n")
        tool("certtool", "--generate-self-signed", "--load-privkey", self.key, "--template", template, "--outfile", self.ca)

    def _key(self, path):
        tool("certtool", "--generate-privkey", "--key-type", "ecdsa", "--outfile", path)
        path.chmod(0o600)

    def _template(self, name, text):
        path = self.directory / f"{name}.template"
        path.write_text(text, encoding="ascii")
        return path

    def sign(self, name, lines="", days=30):
        """(certificate, key) with `cn = name` and further lines of a certtool template."""
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        self._key(key)
        template = self._template(name, f"cn = {name}\nexpiration_days = {days}\nsigning_key\n{lines}\n")
        tool("certtool", "--generate-certificate", "--load-privkey", key, "--load-ca-certificate", self.ca,
             "--load-ca-privkey", self.key, "--template", template, "--outfile", certificate)
        return certificate, key

    def server(self, name="server", lines="dns_name = localhost\nip_address = 127.0.0.1"):
        return self.sign(name, f"tls_www_server\n{lines}")

    def client(self, name, lines=""):
        return self.sign(name, f"tls_www_client\n{lines}")

    def client_directory(self, name, lines=""):
        """As libnbd and QEMU want it: ca-cert.pem, client-cert.pem, client-key.pem."""
        certificate, key = self.client(name, lines)
        place = self.directory / f"of-{name}"
        place.mkdir()
        for source, target in [(self.ca, "ca-cert.pem"), (certificate, "client-cert.pem"), (key, "client-key.pem")]:
            (place / target).write_bytes(source.read_bytes())
        return place


def pre_shared_keys(path, *names):
    """A file for a server and clients, with a key for each name."""
    path.touch(0o600)
    path.write_text("".join(f"{name}:{secrets.token_hex(32)}\n" for name in names), encoding="ascii")
    return path
