"""The node that signs the proof-of-intent cases."""

import uuid
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.openclawdbot_proof import Registration
from ironclaw_contracts.poi.did import did_of
from ironclaw_contracts.poi.envelopes import Signer
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed, gateway
from ironclaw_fleet.secretfile import write_private


def fresh_signer() -> Signer:
    """Return a node that nobody knows yet."""
    return _signer(Ed25519PrivateKey.generate())


def read_signer(path: Path) -> Signer:
    """Return the node of a key file.

    Raises `Failed` for a file that is no such key, and for one that was missing and has been made: the
    validator has to know its node first.
    """
    if path.exists():
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise Failed(f"{path} is no private key in PEM: {error}", EXIT_USAGE) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise Failed(f"{path} is no Ed25519 key", EXIT_USAGE)
        return _signer(key)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem.decode())
    signer = _signer(key)
    raise Failed(
        f"made {path}; have the validator register node {signer.node_id} as Planner with {signer.did}"
        f" ({signer.key_version}), then run this again"
    )


async def register(signer: Signer) -> None:
    """Have this machine's fleet register a node."""
    request = Registration(
        node_id=signer.node_id,
        role="Planner",
        public_key_ref=signer.did,
        key_version=signer.key_version,
        label="conformance",
    )
    async with gateway() as client:
        await client.call(api.REGISTER_NODE, request)


def _signer(key: Ed25519PrivateKey) -> Signer:
    did = did_of(key.public_key().public_bytes_raw())
    return Signer(str(uuid.uuid5(uuid.NAMESPACE_URL, did)), "Planner", key, "v1")
