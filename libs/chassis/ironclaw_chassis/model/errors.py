"""What can go wrong with a model, by whose fault it is."""

from ironclaw_chassis.secret import Secret
from ironclaw_contracts.enums import Cause

_MESSAGE_CHARS_MAX = 500


class ModelError(Exception):
    """The provider did not answer, or may not be asked.

    `cause` says whether that is its fault, our key's, or a limit; `retry_after_seconds` is its own word on
    when to come back; `billed` whether it may have charged for the call all the same.
    """

    def __init__(
        self,
        cause: Cause,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.retry_after_seconds = retry_after_seconds
        self.billed = billed

    def told(self, key: Secret) -> "ModelError":
        """Return the error as it may be told: a provider repeats the key that it refuses, or sends a page."""
        said = str(self)
        if key.reveal():
            said = said.replace(key.reveal(), "***")
        return ModelError(
            self.cause,
            said[:_MESSAGE_CHARS_MAX],
            retry_after_seconds=self.retry_after_seconds,
            billed=self.billed,
        )
