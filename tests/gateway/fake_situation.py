"""What else is the case in the small plant: alarms, events, devices, models, deliveries."""

from collections.abc import Iterator

from gateway.core.alarm_metrics import AlarmCount, AlarmMetrics
from gateway.core.alarms import Alarm, AlarmId, AlarmState
from gateway.core.cases import Case, Diagnosis, Verdict
from gateway.core.configuration_status import ConfigurationStatus
from gateway.core.device_status import ConnectorReport, DeviceState, DeviceStatus, SetAside
from gateway.core.events import Event, Evidence, Transition
from gateway.core.log_status import LogStatus
from gateway.core.models import ModelStage, ModelStatus
from gateway.core.records import Boot, RecordKind, Seq
from gateway.core.rows import AssetId
from gateway.core.tags import TagId
from gateway.core.uplink_status import DeadLetter, UplinkStatus
from tests.gateway.fake_plant import DAY, HOUR, NOW_NS, S

VAULT_SHA256 = "3f9a51c07be4d2168c0e7a55b91d40f2" * 2
CONFIGURATION_OF_THE_PLANT = ConfigurationStatus(
    digest="3fa9c1d20b7e",
    since_ns=NOW_NS - 12 * DAY,
    file="/etc/edgewright/gateway.toml",
    start_file="/etc/edgewright/gateway.toml",
)
LOG_OF_THE_PLANT = LogStatus(
    size_bytes=251_000_000,
    size_bytes_max=2_147_483_648,
    bytes_per_day=61_200_000.0,
    buffer_s=31 * 86_400.0,
    buffer_thinned_s=134 * 86_400.0,
    written_bytes=845_000_000,
    written_bytes_per_day=1_690_000_000.0,
)


def cases_of_the_plant() -> Iterator[Case]:
    """Yield an open case, and one that a technician has closed."""
    yield Case(
        asset=AssetId("P-101"),
        opened_ns=NOW_NS - 14 * 60 * S,
        onset_ns=NOW_NS - 52 * 60 * S,
        updated_ns=NOW_NS - 9 * 60 * S,
        severity=700,
        conditions=("filter_clogged", "anomaly"),
        active=("filter_clogged", "anomaly"),
        evidence=(
            Evidence(name="filter_dp_bar", value=0.497, expected=0.12, share=0.51, unit="bar"),
            Evidence(name="flow_m3h", value=52.4, expected=61.8, share=0.19, unit="m3/h"),
        ),
        diagnosis=Diagnosis(
            cause="likely: suction filter clogged (4 of 5 signs)",
            check="read the differential gauge at the filter",
        ),
    )
    yield Case(
        asset=AssetId("P-102"),
        opened_ns=NOW_NS - 2 * DAY,
        onset_ns=NOW_NS - 2 * DAY,
        updated_ns=NOW_NS - DAY,
        severity=500,
        conditions=("bearing_temperature_high",),
        active=(),
        evidence=(),
        diagnosis=None,
        verdict=Verdict.FALSE,
        note="sensor cable was loose",
        operator="operator",
        closed_ns=NOW_NS - DAY,
    )


def alarms_of_the_plant() -> Iterator[Alarm]:
    """Yield one alarm of each kind that a person meets."""
    yield Alarm(
        id=AlarmId("P-101/filter_clogged"),
        source="P-101",
        condition="filter_clogged",
        severity=700,
        state=AlarmState.UNACKNOWLEDGED,
        active=True,
        raised_ns=NOW_NS - 14 * 60 * S,
        onset_ns=NOW_NS - 52 * 60 * S,
        shelved_until_ns=None,
        text="Pressure drop over the suction filter is 4 times its normal value.",
        evidence=(
            Evidence(name="filter_dp_bar", value=0.497, expected=0.12, share=0.51, unit="bar"),
            Evidence(name="flow_m3h", value=52.4, expected=61.8, share=0.19, unit="m3/h"),
        ),
    )
    yield Alarm(
        id=AlarmId("K-01/discharge_temperature_high"),
        source="K-01",
        condition="discharge_temperature_high",
        severity=400,
        state=AlarmState.ACKNOWLEDGED,
        active=True,
        raised_ns=NOW_NS - 5 * HOUR,
        onset_ns=None,
        shelved_until_ns=None,
        text="Discharge temperature is above 85 °C.",
    )
    yield Alarm(
        id=AlarmId("P-102/bearing_temperature_high"),
        source="P-102",
        condition="bearing_temperature_high",
        severity=500,
        state=AlarmState.SHELVED,
        active=False,
        raised_ns=NOW_NS - 2 * DAY,
        onset_ns=None,
        shelved_until_ns=NOW_NS + 6 * HOUR,
        text="Bearing temperature is above 75 °C.",
    )


def metrics_of_the_plant(now_ns: int) -> AlarmMetrics:
    """Return the figures of a busy hour in a calm week."""
    return AlarmMetrics(
        from_ns=now_ns - 7 * DAY,
        to_ns=now_ns,
        announced=412,
        raised=640,
        last_hour=12,
        per_hour=412 / 168,
        target_per_hour=6.0,
        peak_per_10min=14,
        peak_raised_per_10min=61,
        flood_count=2,
        flood_share=0.004,
        flood_since_ns=None,
        high=20,
        medium=80,
        low=312,
        fleeting=17,
        chattering=3,
        chattering_now=(AlarmId("K-01/flow_low"),),
        stale=(AlarmId("K-01/discharge_temperature_high"),),
        most_frequent=(AlarmCount(alarm=AlarmId("K-01/flow_low"), count=160, share=0.25),),
    )


def events_of_the_plant(now_ns: int) -> list[Event]:
    """Return a few events, the oldest first."""
    return [
        Event(
            time_ns=now_ns - 5 * HOUR,
            source="K-01",
            condition="discharge_temperature_high",
            severity=400,
            transition=Transition.RAISED,
            text="Discharge temperature is above 85 °C.",
        ),
        Event(
            time_ns=now_ns - 4 * HOUR,
            source="K-01",
            condition="discharge_temperature_high",
            severity=400,
            transition=Transition.ACKNOWLEDGED,
            text="Discharge temperature is above 85 °C.",
            operator="operator",
        ),
        Event(
            time_ns=now_ns - 14 * 60 * S,
            source="P-101",
            condition="filter_clogged",
            severity=700,
            transition=Transition.RAISED,
            text="Pressure drop over the suction filter is 4 times its normal value.",
        ),
        Event(
            time_ns=now_ns - 3 * 60 * S,
            source="station",
            condition="device_lost",
            severity=600,
            text="The device station does not answer.",
        ),
    ]


def devices_of_the_plant(now_ns: int) -> tuple[DeviceStatus, ...]:
    """Return two devices that are well, and one that is not."""
    return (
        DeviceStatus(
            name="pumps",
            address="opc.tcp://10.0.4.20:4840",
            state=DeviceState.OK,
            since_ns=NOW_NS - 9 * DAY,
            tag_count=20,
            frame_count=1_555_200,
            frames_per_s=2.0,
            sample_count=15_552_000,
            report=ConnectorReport(certificate_expires_ns=NOW_NS + 21 * DAY + HOUR),
        ),
        DeviceStatus(
            name="compressor",
            address="10.0.4.17:502 unit 1",
            state=DeviceState.OK,
            since_ns=NOW_NS - 2 * DAY,
            tag_count=10,
            frame_count=172_800,
            frames_per_s=1.0,
            sample_count=1_728_000,
            skipped_count=20,
            report=ConnectorReport(
                latency_ms=3.8,
                requests_per_s=4.0,
                busy_share=0.12,
                set_aside=(
                    SetAside(
                        tag=TagId("compressor.PressureSetpoint"),
                        address="holding 120",
                        reason="exception 2, illegal data address",
                        since_ns=NOW_NS - 2 * DAY,
                        retry_ns=NOW_NS + 4 * 60 * S,
                    ),
                ),
            ),
        ),
        DeviceStatus(
            name="station",
            address="10.0.4.31:502 unit 1",
            state=DeviceState.LOST,
            since_ns=now_ns - 3 * 60 * S,
            reason="The device refuses the connection: check that it is on and that port 502 is "
            "free; trying again.",
            detail="ConnectionRefusedError: [Errno 111] connect 10.0.4.31:502",
            retry_ns=now_ns + 12 * S,
            tag_count=4,
        ),
    )


def vault_of_the_plant() -> DeviceStatus:
    """Return a device whose certificate nobody has trusted yet."""
    return DeviceStatus(
        name="vault",
        address="opc.tcp://10.0.4.40:4840",
        state=DeviceState.LOST,
        since_ns=NOW_NS - 60 * S,
        reason="The server's certificate is not trusted: compare its SHA-256 with the server's own "
        "display, and trust it if they are the same.",
        detail="opc.tcp://10.0.4.40:4840, SHA-256 " + VAULT_SHA256,
        retry_ns=NOW_NS + 9 * S,
        tag_count=12,
        report=ConnectorReport(untrusted_certificate=VAULT_SHA256),
    )


def models_of_the_plant() -> Iterator[ModelStatus]:
    """Yield the versions of two models, by name, the newest first."""
    yield ModelStatus(
        name="compressor-anomaly",
        version="1.0",
        stage=ModelStage.ACTIVE,
        since_ns=NOW_NS - 41 * DAY,
        reason="first version on this gateway",
        rows=3_500_000,
    )
    yield ModelStatus(
        name="pump-anomaly",
        version="1.5",
        stage=ModelStage.SHADOW,
        since_ns=NOW_NS - 7 * 60 * S,
        reason="raised all 5 known faults; running beside 1.4",
        rows=420,
        rows_needed=600,
    )
    yield ModelStatus(
        name="pump-anomaly",
        version="1.4",
        stage=ModelStage.ACTIVE,
        since_ns=NOW_NS - 12 * DAY,
        reason="600 rows in shadow, 0.2 % more alarms, none missed",
        rows=1_036_800,
    )
    yield ModelStatus(
        name="pump-anomaly",
        version="1.3",
        stage=ModelStage.ROLLED_BACK,
        since_ns=NOW_NS - 13 * DAY,
        reason="8.1 % more alarms than 1.2 in probation, 5 % allowed",
        rows=311,
    )


def uplinks_of_the_plant() -> tuple[UplinkStatus, ...]:
    """Return the one uplink."""
    cloud = UplinkStatus(
        name="cloud",
        address="https://sync.example.com",
        is_connected=True,
        since_ns=NOW_NS - 3 * DAY,
        error="",
        error_detail="",
        retry_ns=None,
        cursor=Seq(3_541_202),
        lag_records=2,
        lag_s=0.8,
        acknowledged_records=3_541_202,
        acknowledged_samples=98_211_400,
        duplicate_records=0,
        dead_letters=0,
        bytes_today=9_120_000,
        outage_s=31.0,
        drained_records=62,
    )
    return (cloud,)


def dead_letters_of_the_plant() -> Iterator[DeadLetter]:
    """Yield what the cloud once refused."""
    yield DeadLetter(
        boot=Boot(3),
        seq=Seq(2_988_120),
        kind=RecordKind.FRAME,
        size_bytes=1_480,
        reason="https://sync.example.com refuses a record: a value is out of range",
        time_ns=NOW_NS - 9 * DAY,
        is_historical=False,
    )
