"""Units for people: UCUM codes in the field's own spelling."""

_SPELLINGS = {
    "": "",
    "1": "",
    "%": "%",
    "Cel": "°C",
    "K": "K",
    "m3/h": "m³/h",
    "m3/s": "m³/s",
    "m3": "m³",
    "L/min": "l/min",
    "/min": "1/min",
    "{rpm}": "rpm",
    "{rev}/min": "rpm",
    "rpm": "rpm",
    "m/s2": "m/s²",
    "kW.h": "kWh",
    "W.h": "Wh",
    "Ohm": "Ω",
    "deg": "°",
    "um": "µm",
    "us": "µs",
    "[degF]": "°F",
    "[psi]": "psi",
    "[in_i]": "in",
    "bar{a}": "bar(a)",
    "bar{g}": "bar(g)",
}


def printed_unit(code: str) -> str:
    """Return a UCUM code as people in the plant write it; an unknown code stays as it is."""
    return _SPELLINGS.get(code, code)
