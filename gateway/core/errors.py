"""The errors of the gateway; the type says whose fault it is and what happens next."""


class GatewayError(Exception):
    """Anything that the gateway expects to go wrong; every other exception is a bug."""


class ConfigError(GatewayError):
    """The configuration is wrong: a person must mend it; the command exits with 2.

    Attributes:
        mistakes: One line each, opening with the place; never empty.
    """

    def __init__(self, *mistakes: str) -> None:
        """Keep all the mistakes, so that a person can mend them in one go."""
        assert mistakes
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class DeviceError(GatewayError):
    """A machine or the network to it fails: its values become Bad and we try again."""


class UplinkError(GatewayError):
    """The far end refuses or does not answer: the cursor stays and we try again.

    Attributes:
        text: For the engineer: what happened and what to check.
        detail: For the expert: code, address, exception.
        retry_after_s: How long the far end asked us to wait; None when it said nothing.
    """

    def __init__(self, text: str, *, detail: str = "", retry_after_s: float | None = None) -> None:
        """Keep both messages apart, for whoever shows them."""
        super().__init__(f"{text} ({detail})" if detail else text)
        self.text = text
        self.detail = detail
        self.retry_after_s = retry_after_s


class RefusedBatchError(UplinkError):
    """The far end understood the batch and will never take it: one of its records is poison."""


class BatchTooLargeError(RefusedBatchError):
    """The far end takes no batch of this size; a smaller one may pass."""


class ModelError(GatewayError):
    """A model bundle is damaged, refused or unfit; the version in force stays in force."""


class CommandError(GatewayError):
    """A command was refused before anything was written to a machine."""


class StoreError(GatewayError):
    """The log cannot be written or read: processing goes on, and the gap is ledgered later."""


class CorruptRecordError(StoreError):
    """One record does not match its check sum or format: it is skipped, counted, reported."""
