"""Units of machines into UCUM: by the common codes of UNECE Recommendation 20, and by spelling.

OPC UA names a unit by the letters of its common code as the bytes of a number (OPC 10000-8,
5.6.4.3). Vendors' register maps spell units as people do. What is in neither table stays unknown:
a wrong unit is worse than none.
"""

_BY_COMMON_CODE = {
    # length, area, volume
    "MTR": "m", "KMT": "km", "CMT": "cm", "MMT": "mm", "4H": "um", "INH": "[in_i]",
    "FOT": "[ft_i]", "MTK": "m2", "CMK": "cm2", "MMK": "mm2", "MTQ": "m3", "CMQ": "cm3",
    "DMQ": "dm3", "LTR": "L", "MLT": "mL", "HLT": "hL", "GLL": "[gal_us]",
    # time, frequency, speed
    "SEC": "s", "MIN": "min", "HUR": "h", "DAY": "d", "C26": "ms", "B98": "us", "HTZ": "Hz",
    "KHZ": "kHz", "MHZ": "MHz", "RPM": "{rev}/min", "RPS": "{rev}/s", "MTS": "m/s", "C16": "mm/s",
    "2M": "cm/s", "2X": "m/min", "KMH": "km/h", "MSK": "m/s2", "2A": "rad/s",
    # mass and flow
    "KGM": "kg", "GRM": "g", "MGM": "mg", "TNE": "t", "LBR": "[lb_av]", "KGS": "kg/s",
    "F31": "kg/min", "E93": "kg/h", "MQH": "m3/h", "MQS": "m3/s", "G53": "m3/min", "2J": "cm3/s",
    "L2": "L/min", "G51": "L/s", "E32": "L/h", "G2": "[gal_us]/min", "2K": "[cft_i]/h",
    "2L": "[cft_i]/min", "KMQ": "kg/m3", "23": "g/cm3", "GL": "g/L", "M1": "mg/L", "GP": "mg/m3",
    # force, pressure, viscosity
    "NEW": "N", "B47": "kN", "NU": "N.m", "B48": "kN.m", "PAL": "Pa", "A97": "hPa", "KPA": "kPa",
    "MPA": "MPa", "74": "mPa", "BAR": "bar", "MBR": "mbar", "PS": "[psi]", "HN": "mm[Hg]",
    "HP": "mm[H2O]", "C65": "Pa.s", "C24": "mPa.s", "4C": "cSt",
    # electricity, power, energy
    "AMP": "A", "4K": "mA", "B22": "kA", "VLT": "V", "2Z": "mV", "KVT": "kV", "OHM": "Ohm",
    "B49": "kOhm", "SIE": "S", "D10": "S/m", "G42": "uS/cm", "H61": "mS/cm", "FAR": "F",
    "WTT": "W", "KWT": "kW", "MAW": "MW", "D46": "V.A", "KVA": "kV.A", "D44": "{var}",
    "KVR": "k{var}", "WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "JOU": "J", "KJO": "kJ",
    "3B": "MJ", "GV": "GJ", "D33": "T", "WEB": "Wb",
    # temperature, light, angle, ratio
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K", "LUX": "lx", "LUM": "lm", "CDL": "cd",
    "D54": "W/m2", "DD": "deg", "C81": "rad", "P1": "%", "C62": "1", "59": "[ppm]", "2N": "dB",
    "Q30": "[pH]",
}  # fmt: skip
_BY_SPELLING = {
    "°c": "Cel", "degc": "Cel", "deg c": "Cel", "grad c": "Cel", "cel": "Cel", "°f": "[degF]",
    "degf": "[degF]", "kelvin": "K", "m³/h": "m3/h", "m3/h": "m3/h", "cbm/h": "m3/h",
    "m³/s": "m3/s", "m³/min": "m3/min", "m³": "m3", "m3": "m3", "cbm": "m3", "l/min": "L/min",
    "l/h": "L/h", "l/s": "L/s", "l": "L", "liter": "L", "litre": "L", "rpm": "{rev}/min",
    "r/min": "{rev}/min", "1/min": "{rev}/min", "u/min": "{rev}/min", "min-1": "{rev}/min",
    "min⁻¹": "{rev}/min", "tr/min": "{rev}/min", "rev/min": "{rev}/min", "mm/s": "mm/s",
    "m/s": "m/s", "m/s²": "m/s2", "m/s2": "m/s2", "mm²": "mm2", "cm²": "cm2", "m²": "m2",
    "kwh": "kW.h", "kva": "kV.A", "va": "V.A", "kvar": "k{var}", "var": "{var}", "ohm": "Ohm",
    "ω": "Ohm", "kω": "kOhm", "psi": "[psi]", "bar": "bar", "bar(a)": "bar{a}",
    "bar(g)": "bar{g}", "barg": "bar{g}", "bara": "bar{a}", "mbar": "mbar", "pa": "Pa",
    "kpa": "kPa", "hpa": "hPa", "ma": "mA", "kv": "kV", "kw": "kW", "hz": "Hz", "khz": "kHz",
    "%": "%", "percent": "%", "prozent": "%", "% rh": "%", "%rh": "%", "% rf": "%", "sec": "s",
    "sek": "s", "min": "min", "hours": "h", "std": "h", "hrs": "h", "days": "d", "tage": "d",
    "kg": "kg", "kg/h": "kg/h", "kg/s": "kg/s", "kg/min": "kg/min", "t/h": "t/h", "cm": "cm",
    "mm": "mm", "km": "km", "µm": "um", "μm": "um", "um": "um", "°": "deg", "deg": "deg",
    "µs/cm": "uS/cm", "μs/cm": "uS/cm", "ms/cm": "mS/cm", "mg/l": "mg/L", "ppm": "[ppm]",
    "ph": "[pH]", "db": "dB", "lux": "lx", "lx": "lx",
}  # fmt: skip
"""In small letters: in these, large ones mean nothing else."""
_BY_EXACT_SPELLING = {
    "A": "A", "V": "V", "mV": "mV", "W": "W", "MW": "MW", "mW": "mW", "Wh": "W.h",
    "MWh": "MW.h", "K": "K", "N": "N", "kN": "kN", "Nm": "N.m", "kNm": "kN.m", "J": "J",
    "kJ": "kJ", "MJ": "MJ", "MPa": "MPa", "mPa": "mPa", "MHz": "MHz", "s": "s", "ms": "ms",
    "mS": "mS", "h": "h", "d": "d", "g": "g", "t": "t", "m": "m",
}  # fmt: skip
"""In these a large letter is another unit than a small one."""
_COMMON_CODE_BYTES_MAX = 4


def ucum_of_code(unit_id: int) -> str:
    """Return the unit of an OPC UA `UnitId`; empty when it is unknown."""
    if not 0 < unit_id < 256**_COMMON_CODE_BYTES_MAX:
        return ""
    code = unit_id.to_bytes(_COMMON_CODE_BYTES_MAX, "big").lstrip(b"\0")
    return _BY_COMMON_CODE.get(code.decode("ascii", errors="replace"), "")


def ucum_of_spelling(text: str) -> str:
    """Return the unit that people write so; empty when it is unknown."""
    word = text.strip().removeprefix("[").removesuffix("]").strip()
    return _BY_EXACT_SPELLING.get(word) or _BY_SPELLING.get(word.lower(), "")
