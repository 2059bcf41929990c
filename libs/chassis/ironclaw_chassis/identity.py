"""Service identity: an Ed25519 key each; calls carry a short-lived EdDSA JWT."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Unauthenticated

ALGORITHM = "EdDSA"
TOKEN_LIFETIME_SECONDS = 60
_REUSE_SECONDS = 30
_CACHE_SIZE_MAX = 1024


def create_key(folder: Path, name: str) -> None:
    """Make a key pair as `name.key` (0600) and `name.pub`, unless it is there."""
    private_path, public_path = folder / f"{name}.key", folder / f"{name}.pub"
    if not private_path.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        private_path.touch(mode=0o600)
        private_path.write_bytes(pem)
    public = (
        load_private_key(private_path)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    if not public_path.exists() or public_path.read_bytes() != public:  # the folder may be read-only
        public_path.write_bytes(public)


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read an Ed25519 private key in PEM. Raises ValueError when the file holds another kind of key."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is not an Ed25519 key")
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """Read an Ed25519 public key in PEM. Raises ValueError when the file holds another kind of key."""
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{path} is not an Ed25519 public key")
    return key


class Identity:
    """Signs the tokens of one service; a token is used again for half its life."""

    def __init__(
        self, service: Service, key: Ed25519PrivateKey, clock: Callable[[], float] = time.time
    ) -> None:
        self.service = service
        self._key = key
        self._clock = clock
        self._tokens: dict[Service, tuple[float, str]] = {}

    @classmethod
    def load(cls, service: Service, keys: Path) -> "Identity":
        """Read the service's key from the keys folder."""
        return cls(service, load_private_key(keys / f"{service.value}.key"))

    def token_for(self, audience: Service) -> str:
        """Return a token that `audience` will accept for a minute."""
        now = self._clock()
        fresh_until, token = self._tokens.get(audience, (0.0, ""))
        if now >= fresh_until:
            claims = {
                "iss": self.service.value,
                "aud": audience.value,
                "iat": int(now),
                "exp": int(now) + TOKEN_LIFETIME_SECONDS,
            }
            token = jwt.encode(claims, self._key, algorithm=ALGORITHM)
            self._tokens[audience] = (now + _REUSE_SECONDS, token)
        return token


class TokenVerifier:
    """Verifies tokens addressed to one service against the public keys of the fleet."""

    def __init__(self, audience: Service, keys: dict[Service, Ed25519PublicKey]) -> None:
        self._audience = audience
        self._keys = keys
        self._seen: OrderedDict[str, tuple[float, Service]] = OrderedDict()

    @classmethod
    def load(cls, audience: Service, keys: Path, issuers: Iterable[Service] = Service) -> "TokenVerifier":
        """Read the public keys that the folder holds."""
        paths = {issuer: keys / f"{issuer.value}.pub" for issuer in issuers}
        return cls(audience, {i: load_public_key(path) for i, path in paths.items() if path.exists()})

    def verify(self, token: str) -> Service:
        """Return the service that signed the token. Raises `Unauthenticated`."""
        now = time.time()
        expires_at, service = self._seen.get(token, (0.0, None))
        if service is not None and now < expires_at:
            return service
        try:
            issuer = Service(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
            key = self._keys[issuer]
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience.value,
                issuer=issuer.value,
                options={"require": ["exp", "iat", "aud", "iss"]},
                leeway=5,
            )
        except (jwt.PyJWTError, ValueError, KeyError) as error:
            raise Unauthenticated(f"the service token does not verify: {error}") from error
        self._seen[token] = (float(claims["exp"]), issuer)
        while len(self._seen) > _CACHE_SIZE_MAX:
            self._seen.popitem(last=False)
        return issuer
