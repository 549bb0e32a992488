"""Keys and certificates for TLS, made by `openssl`: each certificate is signed by its own key."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """A private key and the certificate for it, both in PEM format; the certificate is its own authority."""

    key: Path
    certificate: Path


def make(folder: Path, name: str) -> Certificate:
    """A new key and certificate for `name` in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / f"{name}.key", folder / f"{name}.pem")
    files = ("-keyout", str(made.key), "-out", str(made.certificate))
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", *files)
    return made


def with_passphrase(key: Path, path: Path) -> Path:
    """The same key in the file `path`, with a passphrase."""
    openssl("pkcs8", "-topk8", "-in", str(key), "-passout", "pass:secret", "-out", str(path))
    return path


def bundle(path: Path, *certificates: Certificate) -> Path:
    """One file of several authorities."""
    path.write_text("".join(one.certificate.read_text() for one in certificates))
    return path


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True)
