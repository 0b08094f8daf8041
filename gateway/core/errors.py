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
    """The far end refuses or does not answer: the cursor stays and we try again."""


class ModelError(GatewayError):
    """A model bundle is damaged, refused or unfit; the version in force stays in force."""


class CommandError(GatewayError):
    """A command was refused before anything was written to a machine."""


class StoreError(GatewayError):
    """The log cannot be written or read: processing goes on, and the gap is ledgered later."""


class CorruptRecordError(StoreError):
    """One record does not match its check sum or format: it is skipped, counted, reported."""
