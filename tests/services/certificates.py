"""A certificate authority of a test's own, by the openssl command. Knows nothing of its users."""

import subprocess
from pathlib import Path

from tests.services.process import program


class Authority:
    """An authority; ``cert`` is the file to trust.

    Args:
        folder: Where its files go.
        name: What its files and its subject are called.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._openssl = program("openssl", "openssl")
        self._folder = folder
        self._key = folder / f"{name}.key"
        self.cert = folder / f"{name}.pem"
        self._make_key(self._key)
        self._run("req", "-x509", "-new", "-key", self._key, "-out", self.cert, "-days", "2",
                  "-subj", f"/CN={name}")  # fmt: skip

    def issue(
        self, name: str, *, names: str = "DNS:localhost", expired: bool = False,
        password: str | None = None,
    ) -> tuple[Path, Path]:  # fmt: skip
        """Return the files of a certificate and its key; ``names`` as openssl writes them."""
        key, request = self._folder / f"{name}.key", self._folder / f"{name}.csr"
        cert, extensions = self._folder / f"{name}.pem", self._folder / f"{name}.ext"
        self._make_key(key, password)
        self._run("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}",
                  "-passin", f"pass:{password or ''}")  # fmt: skip
        extensions.write_text(f"subjectAltName={names}\nkeyUsage=digitalSignature\n")
        if expired:
            self._sign_in_the_past(request, cert, extensions)
        else:
            self._run("x509", "-req", "-in", request, "-out", cert, "-days", "2",
                      "-CA", self.cert, "-CAkey", self._key, "-CAcreateserial",
                      "-extfile", extensions)  # fmt: skip
        return cert, key

    def _sign_in_the_past(self, request: Path, cert: Path, extensions: Path) -> None:
        """Sign a certificate that ended in the year 2021."""
        database, config = self._folder / "index.txt", self._folder / "ca.cnf"
        database.write_text("")
        config.write_text(
            f"[ca]\ndefault_ca=this\n[this]\ndatabase={database}\nrand_serial=yes\n"
            f"new_certs_dir={self._folder}\ndefault_md=sha256\npolicy=any\n[any]\n"
            "commonName=supplied\n"
        )
        self._run("ca", "-batch", "-config", config, "-in", request, "-out", cert, "-notext",
                  "-cert", self.cert, "-keyfile", self._key, "-extfile", extensions,
                  "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")  # fmt: skip

    def _make_key(self, path: Path, password: str | None = None) -> None:
        locked = ("-aes256", "-pass", f"pass:{password}") if password else ()
        self._run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                  "-out", path, *locked)  # fmt: skip

    def _run(self, *arguments: object) -> None:
        subprocess.run([self._openssl, *map(str, arguments)], check=True, capture_output=True)


def in_one_file(cert: Path, key: Path) -> Path:
    """Return a file that holds a certificate and its key, as Kafka reads a PEM key store."""
    joined = cert.with_suffix(".store.pem")
    joined.write_text(key.read_text() + cert.read_text())
    return joined
