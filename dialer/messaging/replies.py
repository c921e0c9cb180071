"""What a debtor's answer by SMS means.

Wide rather than narrow: whoever asks for peace in ordinary words has it. 47 CFR 64.1200(a)(10)
takes any reasonable wording as a revocation and names stop, quit, end, revoke, opt out, cancel
and unsubscribe; the Spanish words are those that carriers and companies announce.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum


class Reply(StrEnum):
    """The kinds of answers."""

    STOP = "stop"
    START = "start"  # written down only: a person lifts a suppression
    HELP = "help"
    OTHER = "other"


_STOP_ALONE = frozenset(
    {
        *("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "REMOVE"),
        *("OPT OUT", "STOP ALL", "REMOVE ME", "NO", "NO MORE"),
        *("BAJA", "ALTO", "PARAR", "PARA", "PARE", "PAREN", "CANCELAR", "CANCELA", "BASTA"),
        *("DETENER", "ELIMINAR", "BORRAR", "BORRARME", "SALIR", "FIN", "DESUSCRIBIR", "REVOCAR"),
        *("NO MAS", "NO GRACIAS", "YA BASTA", "DESUSCRIBIRME", "ANULAR", "DARME BAJA"),
    }
)
_STOP_FIRST = ("STOP", "STOPALL", "UNSUBSCRIBE", "BAJA", "PARAR", "DESUSCRIBIR", "BASTA", "OPTOUT")
_STOP_WITHIN = (
    *("DE BAJA", "DAR BAJA", "DARME BAJA", "NO ME LLAM", "NO LLAM", "NO ME ESCRIB", "NO ESCRIB"),
    *("NO ME MAND", "NO MAND", "NO ME ENVI", "NO ENVI", "NO ME CONTACT", "NO ME MOLEST"),
    *("NO MOLEST", "NO QUIERO RECIBIR", "NO QUIERO MAS", "NO DESEO RECIBIR", "NO MAS MENSAJES"),
    *("NO MAS LLAMADAS", "DEJEN DE", "DEJE DE", "DEJAD DE", "DEJA DE", "BORRE MI", "BORREN MI"),
    *("DO NOT CALL", "DONT CALL", "STOP CALLING", "DO NOT TEXT", "DONT TEXT", "STOP TEXTING"),
    *("DO NOT CONTACT", "DONT CONTACT", "OPT OUT", "UNSUBSCRIBE", "REMOVE ME"),
    *("LEAVE ME ALONE", "TAKE ME OFF"),
)
_START = frozenset({"START", "UNSTOP", "ALTA", "DAR DE ALTA", "DARME DE ALTA", "REANUDAR"})
_HELP = frozenset({"HELP", "INFO", "AYUDA", "INFORMACION"})


def classify_reply(text: str) -> Reply:
    """The kind of an answer, whatever its case, accents and punctuation."""
    plain = _plain(text)
    if plain in _START:
        return Reply.START
    if (
        plain in _STOP_ALONE
        or plain.split(" ")[0] in _STOP_FIRST
        or any(f" {words}" in f" {plain}" for words in _STOP_WITHIN)
    ):
        return Reply.STOP
    return Reply.HELP if plain in _HELP else Reply.OTHER


def _plain(text: str) -> str:
    """Upper case, no accents, apostrophes dropped, everything else that is no letter a space."""
    split = unicodedata.normalize("NFKD", text).upper()
    letters = "".join(c for c in split if not unicodedata.combining(c))
    return re.sub(r"[^A-Z0-9]+", " ", re.sub(r"['’`´]", "", letters)).strip()
