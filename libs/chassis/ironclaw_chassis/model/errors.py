"""What can go wrong with a model, by whose fault it is."""

from ironclaw_contracts.enums import Cause


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
