"""Countries and languages as files write them, and the time zones of a country."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources

import phonenumbers

_NAMES = {
    "AR": "argentina arg",
    "BO": "bolivia bol",
    "BR": "brasil brazil bra",
    "CL": "chile chl",
    "CO": "colombia col",
    "CR": "costarica cri",
    "CU": "cuba cub",
    "DE": "alemania germany deu",
    "DO": "republicadominicana dominicanrepublic dom",
    "EC": "ecuador ecu",
    "ES": "espana spain esp",
    "FR": "francia france fra",
    "GB": "reinounido unitedkingdom greatbritain uk gbr",
    "GT": "guatemala gtm",
    "HN": "honduras hnd",
    "IT": "italia italy ita",
    "MX": "mexico mejico mex",
    "NI": "nicaragua nic",
    "PA": "panama pan",
    "PE": "peru per",
    "PR": "puertorico pri",
    "PT": "portugal prt",
    "PY": "paraguay pry",
    "SV": "elsalvador slv",
    "US": "estadosunidos eeuu unitedstates unitedstatesofamerica usa",
    "UY": "uruguay ury",
    "VE": "venezuela ven",
}
_BY_NAME = {name: code for code, names in _NAMES.items() for name in names.split()}
_LANGUAGES = {
    "espanol": "es",
    "castellano": "es",
    "spanish": "es",
    "esp": "es",
    "spa": "es",
    "ingles": "en",
    "english": "en",
    "eng": "en",
}


def parse_country(text: str) -> str | None:
    """ISO 3166 code of a country written as code or name, None where it is neither."""
    code = text.strip().upper()
    if code in phonenumbers.SUPPORTED_REGIONS:
        return code
    return _BY_NAME.get(_plain(text))


def parse_language(text: str) -> str | None:
    """``es`` or ``en`` of ``es-ES``, ``Español``, ``english``...; None for any other."""
    plain = _plain(text)
    start = plain[:2]
    if start in ("es", "en") and (len(plain) == 2 or text.strip()[2:3] in ("-", "_")):
        return start
    return _LANGUAGES.get(plain)


@cache
def only_zone(country: str) -> str | None:
    """The time zone of a country that has one alone."""
    zones = _zones().get(country, [])
    return zones[0] if len(zones) == 1 else None


@cache
def _zones() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    table = resources.files("tzdata").joinpath("zoneinfo/zone.tab").read_text("utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found.setdefault(country, []).append(zone)
    return found


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).lower()
    return "".join(char for char in decomposed if char.isascii() and char.isalpha())
