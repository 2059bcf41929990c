"""Who may call: whoever has the key, where one is set; else any program on this machine, but no web page."""

import hmac
from collections.abc import Mapping

from ironclaw_chassis.secret import Secret
from ironclaw_contracts.errors import Forbidden, Unauthenticated


def check_access(headers: Mapping[str, str], key: Secret | None) -> None:
    """Raise `Unauthenticated` or `Forbidden` when the call may not pass. Header names are in lower case.

    Field clients send a key in two headers; either is enough. Without a key, a page that somebody looks at
    in a browser on this machine could write evidence: browsers say so in `Origin`, and are refused.
    """
    if key is None:
        if "origin" in headers:
            raise Forbidden(
                "web pages may not call this server; set APPLESEED_API_KEY to let them in with a key"
            )
        return
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = [bearer.strip() if scheme.lower() == "bearer" else "", headers.get("x-appleseed-api-key", "")]
    wanted = key.reveal().encode()
    if not any(hmac.compare_digest(one.encode("latin-1", "replace"), wanted) for one in given):
        raise Unauthenticated("send the key as Authorization: Bearer KEY or as x-appleseed-api-key")
