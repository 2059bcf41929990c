"""Every error a caller of the sandbox can meet, as one tree. What happens to a command is an `Outcome`.

    SandboxError
    ├── SandboxRefused       this machine offers no tier, and nobody chose to go without
    └── BadPolicy            a path, limit, argument or variable that cannot be granted; names the field
        └── BadSetting       IRONCLAW_SANDBOX has a value that means nothing

A message says what was wrong, with which value, and the mend.
"""


class SandboxError(Exception):
    """The sandbox cannot do what it was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SandboxRefused(SandboxError):
    """No tier of the sandbox works on this machine, so no command is run; the message names the mend."""


class BadPolicy(SandboxError):
    """A field of the policy or command cannot be granted; the message names it."""


class BadSetting(BadPolicy):
    """`IRONCLAW_SANDBOX` is none of the values that it may have."""
