"""Identity documents: one way to write them, and whether they can be right."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module

from dialer.importing.errors import CellError

LONGEST = 32
SHORTEST = 4
_SEPARATORS = re.compile(r"[^0-9A-ZÑ&]")
_KIND = re.compile(
    r"(?:DNI|NIE|NIF|CIF|C\.?C|C\.?E|T\.?I|NIT|RUT|RUN|RFC|CURP|CUIT|CUIL|CI)[^0-9A-Z]+(?=.*[0-9])"
)
_SCIENTIFIC = re.compile(r"[0-9][.,][0-9]+E\+?[0-9]+")
_PLAIN = {"CO": re.compile(r"[0-9]{5,10}"), "PE": re.compile(r"[0-9]{8}")}  # no check digit
_MODULES = {
    "AR": ("ar.dni", "ar.cuit"),
    "BR": ("br.cpf", "br.cnpj"),
    "CL": ("cl.rut",),
    "CO": ("co.nit",),
    "DO": ("do.cedula", "do.rnc"),
    "EC": ("ec.ci", "ec.ruc"),
    "ES": ("es.dni", "es.nie", "es.cif"),
    "GT": ("gt.nit",),
    "MX": ("mx.curp", "mx.rfc"),
    "PE": ("pe.cui", "pe.ruc"),
    "PT": ("pt.nif", "pt.cc"),
    "US": ("us.ssn", "us.itin", "us.ein"),
    "UY": ("uy.rut",),
    "VE": ("ve.rif",),
}


def normalise_document(text: str) -> str:
    """Upper case, without separators or the name of its kind: ``dni 12.345.678-z`` to 12345678Z.

    Raises CellError where nothing that can tell a person apart is left.
    """
    upper = text.strip().upper()
    if _SCIENTIFIC.fullmatch(upper):
        raise CellError("a spreadsheet has shortened the document (1,23E+11): format it as text")
    document = _SEPARATORS.sub("", _KIND.sub("", upper, count=1))
    if len(document) < SHORTEST or not any(char.isdigit() for char in document):
        raise CellError("the document is too short or has no digit")
    if not document.strip("0"):
        raise CellError("the document is all zeros")
    if len(document) > LONGEST:
        raise CellError(f"the document is longer than {LONGEST} characters")
    return document


def plausible_document(document: str, country: str) -> bool:
    """Whether a normalised document can be one of that country (check digits and form).

    Always true for a country whose documents are not known here.
    """
    plain = _PLAIN.get(country)
    if plain is not None and plain.fullmatch(document):
        return True
    checks = _checks(country)
    return not checks or any(check(document) for check in checks)


@cache
def _checks(country: str) -> tuple[Callable[[str], bool], ...]:
    names = _MODULES.get(country, ())
    return tuple(import_module(f"stdnum.{name}").is_valid for name in names)
