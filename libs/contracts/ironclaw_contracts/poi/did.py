"""did:key for Ed25519 (W3C did:key, multicodec 0xed): strict, since a weak key verifies anything."""

from functools import lru_cache

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MULTICODEC = b"\xed\x01"
_KEY_PREFIX, _VALIDATOR_PREFIX = "did:key:z", "did:oc:z"
_KEY_BYTES = 32
_TEXT_LENGTH_MAX = 64
_KEYS_KEPT = 4_096
_FIELD_PRIME = 2**255 - 19
_Y_MASK = 2**255 - 1
# The y-coordinates of the points whose order divides 8 (RFC 8032): their signatures prove nothing.
_SMALL_ORDER_Y = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)


class BadKey(ValueError):
    """The text names no Ed25519 key that may be trusted; the message says why."""


def did_of(public_key: bytes) -> str:
    """Return the did:key of 32 key bytes."""
    return _KEY_PREFIX + _encode(_MULTICODEC + public_key)


def validator_id_of(public_key: bytes) -> str:
    """Return the did:oc of a validator's 32 key bytes."""
    return _VALIDATOR_PREFIX + _encode(_MULTICODEC + public_key)


@lru_cache(_KEYS_KEPT)
def public_key_of(did: str) -> bytes:
    """Return the 32 key bytes of a did:key or did:oc. Raises `BadKey`."""
    prefix = next((p for p in (_KEY_PREFIX, _VALIDATOR_PREFIX) if did.startswith(p)), None)
    if prefix is None or len(did) > len(prefix) + _TEXT_LENGTH_MAX:
        raise BadKey("write the key as did:key:z6Mk...")
    raw = _decode(did.removeprefix(prefix))
    if not raw.startswith(_MULTICODEC) or len(raw) != len(_MULTICODEC) + _KEY_BYTES:
        raise BadKey("the did:key is of no Ed25519 key")
    return check_public_key(raw.removeprefix(_MULTICODEC))


def check_public_key(key: bytes) -> bytes:
    """Return 32 key bytes that may be trusted. Raises `BadKey` for weak and non-canonical ones."""
    if len(key) != _KEY_BYTES:
        raise BadKey(f"an Ed25519 key has {_KEY_BYTES} bytes, not {len(key)}")
    y = int.from_bytes(key, "little") & _Y_MASK
    if y >= _FIELD_PRIME:
        raise BadKey("the key's y-coordinate is not canonical")
    if y in _SMALL_ORDER_Y:
        raise BadKey("the key is of small order")
    return key


def _encode(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    zeros = len(raw) - len(raw.lstrip(b"\x00"))
    return "1" * zeros + text


def _decode(text: str) -> bytes:
    number = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise BadKey(f"{character!r} is no base58 character")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
