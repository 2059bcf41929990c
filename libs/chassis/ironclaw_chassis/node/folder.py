"""What a node keeps under the state directory: its keys (0600), and the last sequence number of each.

    nodes/<name>/v1.key  v1.seq  v1.intents  ...  node.lock

A sequence number is on the disk before it is used, so none is used twice whatever is killed when. A key whose
number was lost is not used again: the node goes on under a new key version (contract, Bytes).
"""

import fcntl
import os
import re
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_chassis.identity import load_private_key
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.did import did_of
from ironclaw_contracts.poi.envelopes import Signer

NODES = "nodes"
_KEY = re.compile(r"\Av([1-9][0-9]{0,5})\.key\Z")
Counter = Literal["seq", "intents"]


def node_name(service: Service, port: int) -> str:
    """Return what a process's node is called: the service, and the port of one more of its processes."""
    return f"{service}-{port}" if port else service.value


class NodeHeld(Exception):
    """Another process is this node; the message says where."""


class NodeFolder:
    """The files of one node. All calls block for a moment."""

    def __init__(self, path: Path, role: str) -> None:
        self.path = path
        self.role = role

    @classmethod
    def of(cls, home: Path, name: str, role: str) -> "NodeFolder":
        """Return a node's folder in a state directory."""
        return cls(home / NODES / name, role)

    def ensure(self) -> Signer:
        """Return the node with its newest usable key; makes the first, and one in place of a lost number."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        versions = self._versions()
        if not versions:
            self._create(1)
            versions = [1]
        elif self._read(versions[-1], "seq") is None:
            versions.append(versions[-1] + 1)
            self._create(versions[-1])
        return self._signer(versions[-1], first=versions[0])

    def stage_next(self) -> tuple[Signer, Path]:
        """Make the next key without using it yet; return it and where it lies until `adopt`."""
        current = self.ensure()
        number = int(current.key_version[1:]) + 1
        staged = self.path / f"v{number}.staged"
        if staged.exists():
            key = load_private_key(staged)
        else:
            key = Ed25519PrivateKey.generate()
            _write(staged, _pem(key))
        return Signer(current.node_id, self.role, key, f"v{number}"), staged

    def adopt(self, staged: Path) -> None:
        """Use a staged key from now on."""
        version = int(staged.stem[1:])
        self._start_counters(version)
        staged.rename(staged.with_suffix(".key"))

    def next_number(self, key_version: str, counter: Counter) -> int:
        """Return the next number under a key version; it is on the disk already."""
        version = int(key_version[1:])
        number = (self._read(version, counter) or 0) + 1
        _write(self._counter(version, counter), str(number).encode())
        return number

    @contextmanager
    def held(self) -> Generator[None]:
        """Be this node, alone on this machine. Raises `NodeHeld`."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.path / "node.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise NodeHeld(f"another process is the node in {self.path}") from error
            yield

    def _versions(self) -> list[int]:
        found = (_KEY.match(entry.name) for entry in self.path.iterdir())
        return sorted(int(match[1]) for match in found if match is not None)

    def _create(self, version: int) -> None:
        self._start_counters(version)
        _write(self.path / f"v{version}.key", _pem(Ed25519PrivateKey.generate()))

    def _start_counters(self, version: int) -> None:
        """Begin at 0, before the key is there: a key without its number has lost it."""
        for counter in ("seq", "intents"):
            _write(self._counter(version, counter), b"0")

    def _signer(self, version: int, first: int) -> Signer:
        key = load_private_key(self.path / f"v{version}.key")
        oldest = load_private_key(self.path / f"v{first}.key") if first != version else key
        # The node's id is that of its first key, so that a folder alone tells it.
        node_id = str(uuid.uuid5(uuid.NAMESPACE_URL, did_of(oldest.public_key().public_bytes_raw())))
        return Signer(node_id, self.role, key, f"v{version}")

    def _counter(self, version: int, counter: Counter) -> Path:
        return self.path / f"v{version}.{counter}"

    def _read(self, version: int, counter: Counter) -> int | None:
        try:
            text = self._counter(version, counter).read_text(encoding="ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return int(text) if text.isdecimal() else None


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once and for good, readable by us alone."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
