"""TLS for tests: an authority of their own, and a server's files."""

import ssl
from pathlib import Path

import trustme


class Authority:
    """Issues for 127.0.0.1; `certificate` and `key` are paths of files as a server has them, `root`
    is that of the authority's own certificate."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        issued = self._authority.issue_cert("127.0.0.1")
        self.certificate = str(folder / "certificate.pem")
        self.key = str(folder / "key.pem")
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)
        self.root = str(folder / "root.pem")
        self._authority.cert_pem.write_to_path(self.root)

    def client(self) -> ssl.SSLContext:
        """What trusts it."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context
