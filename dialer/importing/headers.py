"""Which column of a file is which field: by its name in Spanish or English, or as told."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from dialer.importing.errors import ImportFileError

_SYNONYMS = {
    "document": """documento doc dni nif nie nifcif cif cifnif dninie dninif nit rut run rfc curp
        cedula cuit cuil identificacion numidentificacion numeroidentificacion identidad
        documentoidentidad documentodeidentidad numdocumento numerodocumento nrodocumento
        ndocumento nodocumento cedulaciudadania pasaporte document documentid documentnumber
        iddocument idnumber nationalid taxid ssn identitydocument""",
    "name": """nombre nombres nombrecompleto nombreyapellidos nombreyapellido nombreapellidos
        apellidosynombre apellidosnombre nombrecliente nombredeudor nombretitular titular
        cliente deudor razonsocial name fullname firstname givenname debtor debtorname customer
        customername""",
    "surname": """apellido apellidos primerapellido segundoapellido apellidopaterno
        apellidomaterno surname lastname familyname""",
    "phone": """telefono telefonos tel telf tfno tfo tlf telefonomovil telefonofijo telmovil
        telefonocelular telefonocontacto telefonocasa telefonotrabajo numerotelefono
        numerodetelefono numtelefono movil celular cel fijo phone phones phonenumber telephone
        telephonenumber mobile mobilephone mobilenumber cell cellphone landline homephone
        workphone""",
    "reference": """referencia ref expediente nexpediente noexpediente numexpediente
        numeroexpediente nroexpediente contrato numcontrato numerocontrato ncontrato nocontrato
        cuenta numcuenta numerocuenta ncuenta nocuenta credito numcredito numerocredito
        obligacion numeroobligacion factura numfactura numerofactura reference referencenumber
        account accountnumber accountno accountid accountreference contract contractnumber
        invoice invoicenumber caseid casenumber loan loannumber""",
    "amount": """importe importetotal importedeuda importependiente importeadeudado
        importevencido deuda deudatotal deudapendiente saldo saldopendiente saldototal
        saldodeudor saldovencido monto montodeuda montototal montopendiente montoadeudado
        montovencido cuantia adeudo valor valordeuda total amount amountdue totalamount
        amountowed balance balancedue outstanding outstandingbalance outstandingamount debt
        debtamount totaldue""",
    "currency": "moneda divisa codigomoneda tipomoneda currency currencycode ccy",
    "due": """vencimiento fechavencimiento fechadevencimiento fvencimiento fecvencimiento
        fechavto vto fechalimite fechavenc duedate due dateofdue maturity maturitydate""",
    "email": """email correo correoelectronico mail emails direccioncorreo direcciondecorreo
        emailaddress""",
    "language": "idioma lengua language lang locale",
    "timezone": "zonahoraria husohorario huso timezone timezones tz",
    "country": "pais codigopais paisresidencia country countrycode",
}
REQUIRED = ("document", "name", "phone", "reference", "amount", "due")
FIELDS = tuple(_SYNONYMS)
_SEVERAL = frozenset({"surname", "phone"})  # fields that may have more columns than one
_FIELD_OF = {word: name for name, words in _SYNONYMS.items() for word in words.split()}
OWN_COLUMNS = ("import_line", "import_status", "import_reasons")
"""What the file of rejects adds; not columns of anybody's data."""

_NOT_A_WORD = re.compile(r"[^a-z0-9]")
_NUMBERED = re.compile(r"[0-9]+$")


@dataclass(frozen=True, slots=True)
class Columns:
    """The header row, and the positions of each field's columns in it, in the file's order."""

    header: tuple[str, ...]
    positions: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def names(self) -> dict[str, str]:
        """Field to the columns it comes from, for people."""
        return {
            name: ", ".join(self.header[place] for place in places)
            for name, places in self.positions.items()
        }


def simplify(text: str) -> str:
    """A header without case, accents, spaces or signs: ``Teléfono móvil`` to telefonomovil."""
    plain = unicodedata.normalize("NFKD", text).lower()
    return _NOT_A_WORD.sub("", plain)


def field_of(text: str) -> str | None:
    """The field that a header names, None for a column of no interest."""
    word = simplify(text)
    if text.strip().lower() in OWN_COLUMNS:
        return None
    found = _FIELD_OF.get(word)
    if found is None:
        found = _FIELD_OF.get(_NUMBERED.sub("", word))
        return found if found in _SEVERAL else None
    return found


def recognised(header: Sequence[str]) -> int:
    """How many different fields a row of headers names."""
    return len({field_of(text) for text in header} - {None})


def find_columns(header: Sequence[str], told: Mapping[str, Sequence[str]]) -> Columns:
    """The columns of every field. ``told``: field to header names (or ``#3``) that decide; an
    empty list: the file does not have it, whatever its columns are called.

    Raises ImportFileError naming what is missing, doubtful (two columns that could be the
    amount) or told wrongly.
    """
    found: dict[str, list[int]] = {}
    for place, text in enumerate(header):
        name = field_of(text)
        if name is not None and name not in told:
            found.setdefault(name, []).append(place)
    for name, texts in told.items():
        if name not in FIELDS:
            raise ImportFileError(f"--map {name}=...: the fields are {', '.join(FIELDS)}")
        if texts:
            found[name] = [_place(header, name, text) for text in texts]
    _one_each(header, found, told)
    if "name" not in found and "surname" in found:
        found["name"] = []
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise ImportFileError(_missing(header, missing))
    return Columns(tuple(header), {name: tuple(places) for name, places in found.items()})


def _place(header: Sequence[str], name: str, text: str) -> int:
    if text.startswith("#") and text[1:].isdecimal():
        if not 1 <= int(text[1:]) <= len(header):
            raise ImportFileError(f"--map {name}={text}: there are {len(header)} columns")
        return int(text[1:]) - 1
    wanted = simplify(text)
    places = [
        place
        for place, title in enumerate(header)
        if title.strip() == text.strip() or (wanted and simplify(title) == wanted)
    ]
    if len(places) == 1:
        return places[0]
    if places:
        numbers = " or ".join(f"#{place + 1}" for place in places)
        raise ImportFileError(f"--map {name}={text}: several columns are called so; say {numbers}")
    near = get_close_matches(text, header, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ImportFileError(
        f"--map {name}={text}: there is no such column.{hint} Columns: {_shown(header)}"
    )


def _one_each(
    header: Sequence[str], found: Mapping[str, list[int]], told: Mapping[str, Sequence[str]]
) -> None:
    for name, places in found.items():
        several = name in _SEVERAL or (name == "name" and name in told)
        if len(places) > 1 and not several:
            titles = " and ".join(repr(header[place]) for place in places)
            raise ImportFileError(
                f"both {titles} could be the {name}: say which with --map {name}=COLUMN"
                f" (or --map {name}=#{places[0] + 1})"
            )
        if len(set(places)) < len(places):
            raise ImportFileError(f"--map {name}: {', '.join(told[name])} names a column twice")


def _missing(header: Sequence[str], missing: Sequence[str]) -> str:
    examples = {name: " or ".join(_SYNONYMS[name].split()[:1]) for name in missing}
    lines = [
        f"  {name}: call a column {examples[name]!r}, or say --map {name}=COLUMN"
        for name in missing
    ]
    return (
        "the header row lacks columns:\n" + "\n".join(lines) + f"\nColumns found: {_shown(header)}"
    )


def _shown(header: Sequence[str]) -> str:
    titles = [title.strip()[:40] for title in header[:30]]
    more = f" and {len(header) - 30} more" if len(header) > 30 else ""
    return (", ".join(repr(title) for title in titles) or "none") + more
