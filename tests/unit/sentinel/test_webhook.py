"""The signature of a delivery (Standard Webhooks 1.0)."""

import base64
import hashlib
import hmac

from ironclaw_sentinel.webhook import signed_headers


def test_given_a_delivery_when_signed_then_a_receiver_can_check_id_time_and_body() -> None:
    headers = signed_headers("e1", b'{"a":1}', b"secret", 1_700_000_000)
    version, _, signature = headers["webhook-signature"].partition(",")
    expected = hmac.digest(b"secret", b'e1.1700000000.{"a":1}', hashlib.sha256)
    assert version == "v1"
    assert base64.b64decode(signature) == expected
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("e1", "1700000000")
    assert (
        signed_headers("e2", b'{"a":1}', b"secret", 1_700_000_000)["webhook-signature"]
        != headers["webhook-signature"]
    )
