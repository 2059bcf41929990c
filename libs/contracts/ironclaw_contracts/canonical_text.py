"""Text as ECMAScript trims it: what field emitters and receivers take for blank, and for the same key."""

_WHITE_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""ECMA-262, WhiteSpace and LineTerminator. Python's `strip` also takes U+001C to U+001F and U+0085, and
leaves U+FEFF: two keys would be one, and a blank one would not be."""


def trim(text: str) -> str:
    """Return a text as `String.prototype.trim` does."""
    return text.strip(_WHITE_SPACE)
