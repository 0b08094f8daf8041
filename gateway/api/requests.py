"""What the local API takes, as pydantic models: one a route.

A field whose name stands in the route's path comes from there; the others come from the query of
a GET and from the JSON body of a POST.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.core.cases import Verdict

LIMIT_MAX = 1000
"""Most entries in one answer."""
SHELVE_S_MAX = 7 * 86_400.0
"""ISA-18.2-2016, 11.7: shelving is limited in time; a week outlasts every shift plan."""
REASON_LENGTH_MAX = 500
"""Longest reason for what a person does to an alarm."""
COMMAND_S_MAX = 600.0
"""Longest time a command may wait before it is refused as too late."""


class Request(BaseModel):
    """Base of every request: an unknown field is a mistake. By itself it asks for nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AssetRequest(Request):
    """Asks for one asset."""

    asset: str


class TagsRequest(Request):
    """Asks for a page of tags."""

    prefix: str = ""
    """Only tags whose id opens with this."""
    find: str = ""
    """Only tags whose id holds this, in small or capital letters."""
    offset: Annotated[int, Field(ge=0)] = 0
    """Tags to pass over."""
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 100
    """Most tags in the answer."""


class TagRequest(Request):
    """Asks for one tag."""

    tag: str


class DeviceTagsRequest(Request):
    """Asks for the tags of one device."""

    device: str
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 100
    """Most tags in the answer."""


class TrustRequest(Request):
    """Says which certificate of a device is meant, so that nobody trusts another than they saw."""

    device: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the whole certificate."""


class LatestRequest(Request):
    """Asks for the latest entries."""

    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 50
    """Most entries in the answer."""


class AlarmRequest(Request):
    """Names one alarm."""

    alarm: str
    """`source/condition`."""


class ShelveRequest(AlarmRequest):
    """Asks for silence on one alarm."""

    for_s: Annotated[float, Field(gt=0, le=SHELVE_S_MAX)]
    """How long; the configuration may allow less."""
    reason: Annotated[str, Field(max_length=REASON_LENGTH_MAX)] = ""
    """Why, for those who come after."""


class ReasonRequest(AlarmRequest):
    """Asks for something to be done to an alarm, with the reason."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX)]
    """Why, for those who come after."""


class VerdictRequest(Request):
    """Says what was behind a case."""

    case: str
    """Its id."""
    verdict: Verdict
    note: Annotated[str, Field(max_length=500)] = ""
    """What the technician adds."""


class UplinkRequest(Request):
    """Names one uplink."""

    uplink: str


class ModelRequest(Request):
    """Names one version of one model, so that nobody acts on another one than they saw."""

    name: str
    version: str
    """To promote: the version in shadow. To roll back: the version in force."""


class CommandRequest(Request):
    """Asks to write one value to one tag."""

    tag: str
    value: Annotated[float, Field(allow_inf_nan=False)]
    """In engineering units."""
    id: str = ""
    """The same id is carried out once at the most; empty lets the gateway choose one."""
    within_s: Annotated[float, Field(gt=0, le=COMMAND_S_MAX)] = 10.0
    """The command fails rather than act later than this."""


class ApplyRequest(Request):
    """Asks to put a configuration in force."""

    file: str = ""
    """Whole path, as the gateway sees it; empty is the file that it was started with."""


class StreamRequest(Request):
    """Asks for the stream."""

    prefix: str = ""
    """Only values of tags whose id opens with this; events always come."""
