"""Which column of a vendor's register map is which, guessed from the words of its header. Pure.

Vendors write in their own language and order; English and German are known well, French, Spanish
and Italian in their usual words. A guess is shown to a person, who can set any column.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """What a column of a register map says."""

    ADDRESS = "address"
    TYPE = "type"
    TAG = "tag"
    UNIT = "unit"
    SCALE = "scale"
    OFFSET = "offset"
    LOW = "low"
    HIGH = "high"
    ORDER = "order"
    ACCESS = "access"
    """Whether it may be written."""
    AREA = "area"
    """Function code, or kind of register."""
    LENGTH = "length"
    """Registers that a value takes."""


_WORDS: dict[Meaning, tuple[str, ...]] = {
    Meaning.ADDRESS: (
        "address", "adresse", "addr", "adr", "modbus address", "modbusadresse",
        "register address", "registeradresse", "start address", "startadresse", "pdu address",
        "dirección", "direccion", "indirizzo", "register", "registernummer", "register number",
        "register no", "registre", "registro", "reg",
    ),
    Meaning.TYPE: (
        "data type", "datatype", "datentyp", "type", "typ", "data format", "datenformat", "format",
        "tipo", "tipo de dato", "type de données", "encoding",
    ),
    Meaning.TAG: (
        "tag", "name", "bezeichnung", "signal", "parameter", "variable", "messwert", "messgröße",
        "designation", "désignation", "description", "beschreibung", "nombre", "nom", "nome",
        "descripción", "descrizione", "label", "text", "item", "function name",
    ),
    Meaning.UNIT: (
        "unit", "units", "einheit", "maßeinheit", "masseinheit", "engineering unit", "uom",
        "unité", "unidad", "unità", "eu", "dimension",
    ),
    Meaning.SCALE: (
        "scale", "scaling", "scale factor", "scaling factor", "factor", "faktor", "skalierung",
        "skalierungsfaktor", "skalenfaktor", "multiplier", "multiplikator", "gain", "resolution",
        "auflösung", "facteur", "facteur d'échelle", "escala", "fattore", "scala",
    ),
    Meaning.OFFSET: ("offset", "versatz", "nullpunkt", "décalage"),
    Meaning.LOW: ("min", "minimum", "low", "lower", "untergrenze", "minimo", "mínimo", "von"),
    Meaning.HIGH: ("max", "maximum", "high", "upper", "obergrenze", "massimo", "máximo", "bis"),
    Meaning.ORDER: (
        "order", "byte order", "word order", "byteorder", "endian", "endianness",
        "byte-reihenfolge", "bytereihenfolge", "wortreihenfolge", "reihenfolge",
    ),
    Meaning.ACCESS: (
        "access", "zugriff", "r/w", "rw", "read/write", "lesen/schreiben", "accès", "acceso",
        "accesso", "permission", "writable", "schreibbar",
    ),
    Meaning.AREA: (
        "function", "function code", "funktion", "funktionscode", "fc", "register type",
        "registertyp", "registerart", "area", "bereich", "table", "tabelle", "fonction",
        "función", "object type", "modbus function",
    ),
    Meaning.LENGTH: (
        "length", "länge", "laenge", "size", "größe", "count", "anzahl", "quantity", "words",
        "registers", "anzahl register", "number of registers", "wörter", "longueur", "longitud",
        "lunghezza", "no of registers",
    ),
}  # fmt: skip
_NEVER: dict[Meaning, tuple[str, ...]] = {Meaning.UNIT: ("unit id", "slave", "unit number")}
"""A Modbus unit number is no unit of measure."""
_EXACT, _WHOLE_WORD, _OPENING = 3.0, 2.0, 1.0
_OPENING_LETTERS_MIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The header of a register map, understood."""

    row: int
    """Of the header, from 0."""
    index_of: dict[Meaning, int]
    """Column of each meaning that was found, from 0."""
    header: tuple[str, ...]
    """As the vendor writes it."""


def guess_columns(rows: Sequence[Sequence[str]], chosen: Mapping[Meaning, str]) -> Columns | None:
    """Return the best header among the first rows; None when no row can be one.

    Args:
        rows: The first rows of a map; vendors put titles above the header.
        chosen: Header texts that a person has set, whatever we would guess.
    """
    best, best_score = None, 0.0
    for row, cells in enumerate(rows):
        found = _assigned(cells, chosen)
        score = sum(score for _, score in found.values())
        if Meaning.ADDRESS in found and len(found) > 1 and score > best_score:
            best_score = score
            best = Columns(
                row=row,
                index_of={meaning: index for meaning, (index, _) in found.items()},
                header=tuple(cell.strip() for cell in cells),
            )
    return best


def _assigned(
    cells: Sequence[str], chosen: Mapping[Meaning, str]
) -> dict[Meaning, tuple[int, float]]:
    """Return column and score of each meaning; the surest guesses pick first."""
    found: dict[Meaning, tuple[int, float]] = {}
    taken: set[int] = set()
    lowered = [" ".join(cell.lower().split()) for cell in cells]
    for meaning, header in chosen.items():
        wanted = " ".join(header.lower().split())
        if wanted not in lowered:
            return {}
        found[meaning] = (lowered.index(wanted), _EXACT)
        taken.add(found[meaning][0])
    scores = sorted(
        ((_score(text, meaning), -index, meaning) for index, text in enumerate(lowered)
         for meaning in Meaning),
        reverse=True,
    )  # fmt: skip
    for score, minus_index, meaning in scores:
        if score > 0 and meaning not in found and -minus_index not in taken:
            found[meaning] = (-minus_index, score)
            taken.add(-minus_index)
    return found


def _score(text: str, meaning: Meaning) -> float:
    """Return how well a header text says a meaning; 0 is not at all.

    The earlier a word stands in our list, the surer it is, by less than a kind of match.
    """
    plain = re.sub(r"\(.*?\)|\[.*?\]", "", text).strip(" .:#*")
    if not plain or any(word in plain for word in _NEVER.get(meaning, ())):
        return 0.0
    words = re.findall(r"[^\W\d_]+(?:/[^\W\d_]+)?", plain)
    best = 0.0
    for rank, known in enumerate(_WORDS[meaning]):
        score = 0.0
        if plain == known:
            score = _EXACT
        elif known in words or (" " in known and known in plain):
            score = _WHOLE_WORD
        elif len(known) >= _OPENING_LETTERS_MIN and any(w.startswith(known) for w in words):
            score = _OPENING
        if score:
            best = max(best, score - rank / 100)
    return best
