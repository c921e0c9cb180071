"""Text files in every usual writing, and those that are none, read in bounded memory."""

from __future__ import annotations

import csv
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from import_support import HEADER, Collected, collect, dni, line, rejects, text, write

from dialer.domain.debtor_row import PhoneEntry
from dialer.domain.model import LineType, Money
from dialer.importing.errors import ImportFileError
from dialer.importing.run import Options, import_file


def refusal(path: Path, **options: object) -> str:
    """Why a file is refused as a whole; nothing of it is stored then."""
    sink = Collected()
    with pytest.raises(ImportFileError) as caught:
        import_file(path, Options(**options), sink)  # type: ignore[arg-type]
    assert not sink.begun
    assert not list(path.parent.glob("*rejects*"))
    return str(caught.value)


# --- encodings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "cp1252",
        "latin-1",
        "mac_roman",
        "cp850",
    ],
)
def test_every_usual_encoding_is_told_apart(encoding: str, tmp_path: Path) -> None:
    names = ["José Núñez", "Begoña Iñíguez", "MARÍA ÁNGELES PEÑA", "Íñigo Güell"]
    content = text(*(line(i, nombre=name) for i, name in enumerate(names, 1)))
    _, rows = collect(write(tmp_path / "a.csv", content, encoding))
    assert [row.name for row in rows] == names


def test_the_encoding_is_told_from_names_deep_in_the_file(tmp_path: Path) -> None:
    plain = [line(i, nombre=f"Juan Gil {i}") for i in range(1, 30_000)]
    content = text(*plain, line(30_000, nombre="Ana Muñoz"))
    summary, rows = collect(write(tmp_path / "a.csv", content, "cp1252"))
    assert (summary.encoding, rows[-1].name) == ("cp1252", "Ana Muñoz")


def test_one_damaged_byte_in_utf8_is_located_and_not_guessed_around(tmp_path: Path) -> None:
    content = text(line(1, nombre="Ana Muñoz"), line(2), line(3, nombre="Ana MuXoz")).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(content.replace(b"MuXoz", b"Mu\xf1oz"))
    assert "line 4 is not UTF-8" in refusal(path)
    assert len(collect(path, encoding="cp1252")[1]) == 3


def test_bytes_that_no_encoding_makes_sense_of(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text(line(1, nombre="Ana XX")).encode().replace(b"XX", b"\x81\x8f\xd5\xfe"))
    assert "the encoding cannot be told" in refusal(path)


def test_a_told_encoding_that_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1, nombre="Ana Muñoz")), "cp1252")
    assert "line 2 is not UTF-8" in refusal(path, encoding="utf-8")
    assert "the file is not ascii" in refusal(path, encoding="ascii")
    assert "there is no encoding 'klingon'" in refusal(path, encoding="klingon")
    assert "not an encoding of text" in refusal(path, encoding="base64")


# --- delimiters and quotation marks --------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str, tmp_path: Path) -> None:
    lines = [line(i, nombre='"Gómez, María; o|María"', importe="99.50") for i in (1, 2, 3)]
    quoted = [_requoted(one, delimiter) for one in (HEADER, *lines)]
    _, rows = collect(write(tmp_path / "a.csv", "\r\n".join(quoted)))
    assert [row.amount.minor for row in rows] == [9950] * 3
    assert rows[0].name == "Gómez, María; o|María"


def _requoted(text: str, delimiter: str) -> str:
    cells = next(csv.reader([text], delimiter=";"))
    return delimiter.join(f'"{cell}"' if cell else "" for cell in cells)


def test_the_delimiter_is_not_misled_by_commas_of_amounts_and_names(tmp_path: Path) -> None:
    lines = [line(i, nombre="Gómez, María, de", importe="1234,50") for i in range(1, 9)]
    assert collect(write(tmp_path / "a.csv", text(*lines)))[0].delimiter == ";"


def test_a_told_or_declared_delimiter(tmp_path: Path) -> None:
    content = text(line(1)).replace(";", "^")
    assert len(collect(write(tmp_path / "a.csv", content), delimiter="^")[1]) == 1
    assert len(collect(write(tmp_path / "b.csv", "sep=^\r\n" + content))[1]) == 1
    assert "no delimiter found" in refusal(write(tmp_path / "c.csv", content))


def test_line_ends_of_every_kind_and_inside_quotation_marks(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        content = text(line(1, nombre=f'"Ana{end}Gil"'), line(2)).replace("\n", end)
        _, rows = collect(write(tmp_path / "a.csv", content))
        assert [row.name for row in rows] == ["Ana Gil", "María Gómez 2"]


def test_a_stray_quotation_mark_costs_its_own_line_alone(tmp_path: Path) -> None:
    content = text(
        line(1), line(2, nombre='"Ana Gil'), line(3), line(4, nombre='Ana "la Rubia" Gil'), line(5)
    )
    summary, rows = collect(write(tmp_path / "a.csv", content))
    assert [row.line for row in rows] == [2, 4, 5, 6]
    assert rows[2].name == 'Ana "la Rubia" Gil'
    assert summary.rejected == 1
    told = rejects(summary)
    assert "Ana Gil" in told
    assert ";3;rejected;" in told
    assert "quotation mark" in told


def test_many_stray_quotation_marks_lose_no_other_line(tmp_path: Path) -> None:
    lines = [line(i, nombre='"Ana' if i % 7 == 0 else "Ana") for i in range(1, 400)]
    summary, rows = collect(write(tmp_path / "a.csv", text(*lines)))
    assert len(rows) == 399 - 399 // 7
    assert summary.rejected == 399 // 7


def test_blank_lines_titles_above_and_an_old_end_mark(tmp_path: Path) -> None:
    content = "Informe de deuda\n\n" + text(line(1), "", ";;;;;;;;;", line(2)) + "\x1a"
    summary, rows = collect(write(tmp_path / "a.csv", content))
    assert (summary.rows, summary.rejected) == (2, 0)
    assert [row.line for row in rows] == [4, 7]


# --- rows ----------------------------------------------------------------------------------


def test_a_row_becomes_a_debtor(tmp_path: Path) -> None:
    content = text(
        line(12345678, telefono1="600 123 123 / 91 234 56 78", telefono2="+34600123123",
             email="ana@example.com", idioma="es-ES"),
    )  # fmt: skip
    [row] = collect(write(tmp_path / "a.csv", content))[1]
    assert row.document == dni(12345678)
    assert row.phones == (
        PhoneEntry("+34600123123", LineType.MOBILE),
        PhoneEntry("+34912345678", LineType.FIXED),
    )
    assert (row.amount, row.due) == (Money(123456, "EUR"), date(2026, 1, 31))
    assert (row.email, row.language, row.country) == ("ana@example.com", "es", None)
    assert (row.timezone, row.likely_timezone) == (None, "Europe/Madrid")


def test_english_headers_and_english_amounts(tmp_path: Path) -> None:
    content = (
        "Account Number,First Name,Last Name,SSN,Mobile,Amount Due,Currency,Due Date,Country\n"
        'A1,Ann,Lee,219-09-9999,(212) 555-1234,"1,234.56",USD,01/31/2026,US\n'
        'A2,Bob,Ray,219-09-9998,(212) 555-1235,"2,000",USD,02/28/2026,US\n'
    )
    path = write(tmp_path / "a.csv", content)
    assert "--date-order mdy" in refusal(path)
    summary, rows = collect(path, "US", date_order="mdy")
    assert [row.amount.minor for row in rows] == [123456, 200000]
    assert [row.name for row in rows] == ["Ann Lee", "Bob Ray"]
    assert rows[0].likely_timezone == "America/New_York"
    assert (summary.decimal, summary.rejected) == (".", 0)


def test_every_reason_of_a_row_is_told_at_once_with_its_original_cells(tmp_path: Path) -> None:
    bad = line(
        2, documento="", telefono1="12", importe="free", moneda="EU", vencimiento="soon", idioma="x"
    )
    summary, rows = collect(write(tmp_path / "a.csv", text(line(1), bad)))
    assert [row.line for row in rows] == [2]
    [told] = list(csv.DictReader(rejects(summary).splitlines(), delimiter=";"))
    assert (told["nombre"], told["importe"]) == ("María Gómez 2", "free")
    assert (told["import_line"], told["import_status"]) == ("3", "rejected")
    for word in ("no document", "numbering plan", "currency", "due date", "language"):
        assert word in told["import_reasons"]
    assert summary.reasons.total() == 5


def test_corrected_rejects_are_imported_as_they_are(tmp_path: Path) -> None:
    bad = [line(2, vencimiento="soon"), line(3, nombre="=HYPERLINK(1)")]
    summary, _ = collect(write(tmp_path / "a.csv", text(line(1), *bad)))
    told = rejects(summary)
    assert "'=HYPERLINK(1)" in told  # a spreadsheet shows it, and does not run it
    again, rows = collect(write(tmp_path / "b.csv", told.replace("soon", "31/01/2026")))
    assert [row.reference for row in rows] == ["EXP-2"]
    assert again.rejected == 1
    assert rejects(again).splitlines()[0].count("import_line") == 1


def test_a_second_run_keeps_the_rejects_of_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1, vencimiento="soon"), line(2)))
    for _ in range(2):
        summary, _ = collect(path)
    assert summary.rejects_file is not None
    target = Path(summary.rejects_file)
    assert target.with_name("a.csv.rejects.csv.bak").read_bytes() == target.read_bytes()
    assert target.stat().st_mode & 0o077 == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.csv",
        "a.csv.rejects.csv",
        "a.csv.rejects.csv.bak",
    ]


def test_rejects_go_where_they_are_told_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1, vencimiento="soon"), line(2)))
    summary, _ = collect(path, rejects=tmp_path / "bad.csv")
    assert summary.rejects_file == str(tmp_path / "bad.csv")
    assert "--rejects" in refusal(path, rejects=tmp_path / "none" / "bad.csv")


def test_a_good_number_beside_a_bad_one_goes_in_with_a_warning(tmp_path: Path) -> None:
    summary, rows = collect(
        write(tmp_path / "a.csv", text(line(1, telefono1="12", telefono2="600123123")))
    )
    assert [entry.number for entry in rows[0].phones] == ["+34600123123"]
    assert summary.warnings == {"phone": 1}
    assert ";2;warning;left out: a phone number" in rejects(summary)


def test_foreign_documents_are_counted_or_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1, documento="12345678A"), line(2)))
    summary, rows = collect(path)
    assert (len(rows), summary.warnings, summary.rejects_file) == (2, {"document": 1}, None)
    summary, rows = collect(path, documents="reject")
    assert (len(rows), summary.rejected) == (1, 1)
    assert collect(path, documents="off")[0].warnings == {}


def test_a_foreign_debtor_without_a_zone_is_not_called_at_our_hours(tmp_path: Path) -> None:
    header = HEADER + ";pais;zona_horaria"
    rows = [
        line(1) + ";CO;",
        line(2) + ";US;",
        line(3) + ";US;America/Denver",
        line(4) + ";;Mars/Olympus",
        line(5, telefono1="922123456") + ";;",
    ]
    phones = ["+573001234567", "+34600000002", "+34600000003"]
    for place, number in enumerate(phones):
        rows[place] = rows[place].replace(f"6{place + 1:08d}", number)
    summary, taken = collect(write(tmp_path / "a.csv", text(*rows, header=header)))
    zones = {row.line: row.timezone or row.likely_timezone for row in taken}
    assert zones == {2: "America/Bogota", 4: "America/Denver", 6: "Atlantic/Canary"}
    assert "US has several time zones" in rejects(summary)
    assert "the time zone is none" in rejects(summary)


# --- money ---------------------------------------------------------------------------------


def test_thousands_are_read_by_what_the_rest_of_the_file_proves(tmp_path: Path) -> None:
    rows = [line(1, importe="1.500"), line(2, importe="12,50")]
    _, taken = collect(write(tmp_path / "a.csv", text(*rows)))
    assert [row.amount.minor for row in taken] == [150000, 1250]


def test_thousands_stay_out_where_nothing_proves_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", text(line(1, importe="1.500"), line(2, importe="99")))
    summary, taken = collect(path)
    assert [row.amount.minor for row in taken] == [9900]
    assert "--decimal" in rejects(summary)
    assert [r.amount.minor for r in collect(path, decimal=",")[1]] == [150000, 9900]
    assert [r.amount.minor for r in collect(path, decimal=".")[1]] == [150, 9900]


def test_a_file_of_two_notations_is_not_sorted_out(tmp_path: Path) -> None:
    rows = [line(i, importe=t) for i, t in enumerate(["1.500", "12,50", "12.50", "1.500,00"])]
    path = write(tmp_path / "a.csv", text(*rows))
    assert "1 amounts have '.' as decimal sign and 2 have ','" in refusal(path)
    summary, taken = collect(path, decimal=",")
    assert [row.amount.minor for row in taken] == [150000, 1250, 150000]
    assert "not written with ','" in rejects(summary)


def test_an_unquoted_decimal_comma_shifts_no_money(tmp_path: Path) -> None:
    header = "documento,nombre,telefono,referencia,vencimiento,importe,moneda,email,idioma"
    good = f"{dni(1)},Ana,600000001,R1,2026-01-31,99,EUR,,es"
    shifted = [
        f"{dni(2)},Ana,600000002,R2,2026-01-31,1,50,EUR,,es",
        f"{dni(3)},Ana,600000003,R3,2026-01-31,1,50,EUR,es",
        f"{dni(4)},Ana,600000004,R4,2026-01-31,1,50,EUR,",
    ]
    summary, rows = collect(write(tmp_path / "a.csv", "\n".join([header, good, *shifted])))
    assert [row.reference for row in rows] == ["R1"]
    assert summary.rejected == 3
    assert "50" in rejects(summary)


def test_a_shift_into_the_last_columns_is_noticed(tmp_path: Path) -> None:
    header = "documento,nombre,telefono,referencia,vencimiento,importe,email,idioma"
    rows = [
        f"{dni(1)},Ana,600000001,R1,2026-01-31,1,50",
        f"{dni(2)},A,600000002,R2,2026-01-31,7,,1",
    ]
    summary, taken = collect(write(tmp_path / "a.csv", "\n".join([header, *rows])), currency="EUR")
    assert not taken
    assert "shifted" in rejects(summary)


def test_a_delimiter_at_the_end_of_every_row_is_no_shift(tmp_path: Path) -> None:
    content = HEADER + "\n" + "\n".join(line(i) + ";" for i in (1, 2)) + "\n"
    assert len(collect(write(tmp_path / "a.csv", content))[1]) == 2


def test_a_currency_is_never_assumed(tmp_path: Path) -> None:
    header = HEADER.replace(";moneda", "")
    row = line(1, importe="12,50").replace(";EUR", "")
    path = write(tmp_path / "a.csv", text(row, header=header))
    assert "--currency" in refusal(path)
    assert collect(path, currency="MXN")[1][0].amount == Money(1250, "MXN")
    assert "no currency" in refusal(path, currency="XQX")
    signed = write(tmp_path / "b.csv", text(row.replace("12,50", "12,50 €"), header=header))
    assert collect(signed)[1][0].amount == Money(1250, "EUR")


def test_a_reference_with_two_amounts_stays_out_altogether(tmp_path: Path) -> None:
    rows = [
        line(1),
        line(2, referencia="R", importe="10,00"),
        line(3, referencia="S"),
        line(2, referencia=" R ", importe="20,00"),
        line(3, referencia="S"),
        line(4, referencia="T"),
        line(5, referencia="T"),
    ]
    summary, taken = collect(write(tmp_path / "a.csv", text(*rows)))
    assert [row.reference for row in taken] == ["EXP-1", "S", "S"]
    assert summary.rejected == 4
    assert "which one is right" in rejects(summary)


def test_dates_of_both_orders_are_not_sorted_out(tmp_path: Path) -> None:
    dates = ["31/01/2026", "01/31/2026", "03/04/2026"]
    rows = [line(i, vencimiento=day) for i, day in enumerate(dates, 1)]
    assert "write all of them in one way" in refusal(write(tmp_path / "a.csv", text(*rows)))


# --- no table of debtors -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n\n \n", "no rows"),
        (HEADER.encode(), "no rows below"),
        (b"\x00\x01\x02binary" * 100, "NUL"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "old .xls"),
        (b"\x1f\x8b\x08" + b"x" * 100, "gzip"),
        (b"PK\x03\x04" + b"x" * 100, "does not unpack"),
        (b"just some words\nand more\n", "no delimiter"),
        (b"a;b;c\n1;2;3\n", "header row lacks columns"),
    ],
)
def test_other_files_are_named_for_what_they_are(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert why in refusal(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.csv")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    assert "a folder" in refusal(folder)


def test_a_huge_field_is_a_reject_and_a_huge_line_ends_the_import(tmp_path: Path) -> None:
    huge = line(2, nombre='"' + "x" * 200_000 + '"')
    long = line(3, nombre="x" * 2_000)
    summary, rows = collect(write(tmp_path / "a.csv", text(line(1), huge, long, line(4))))
    assert [row.line for row in rows] == [2, 5]
    assert summary.rejected == 2
    endless = write(tmp_path / "b.csv", text(line(1), "x" * 1_100_000))
    with pytest.raises(ImportFileError, match="line 3 is longer than 1,000,000 characters"):
        import_file(endless, Options(), Collected())


_BOUNDED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from import_support import Collected
from dialer.importing.errors import ImportFileError
from dialer.importing.run import Options, import_file
try:
    import_file(Path(sys.argv[1]), Options(), Collected())
except ImportFileError as error:
    print(error)
# Not ru_maxrss, which begins with what the parent had when it forked.
status = Path("/proc/self/status").read_text().splitlines()
print(next(one.split()[1] for one in status if one.startswith("VmHWM")))
"""


@pytest.mark.parametrize(
    ("start", "filler", "why"),
    [
        (text(line(1)).encode(), b"x", "is longer than"),
        (b"", b"x", "is longer than"),
        (text(line(1)).encode() + b'"', b"x;\n", ""),  # an endless quotation: rejects, line by line
    ],
)
def test_a_file_without_end_is_refused_in_bounded_memory(
    start: bytes, filler: bytes, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    piece = filler * ((1 << 16) // len(filler))
    with path.open("wb") as out:
        out.write(start)
        for _ in range(200 << 4 if why else 2):
            out.write(piece)
    script = _BOUNDED.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        cwd=Path(__file__).parent.parent,
    )
    *said, peak = done.stdout.splitlines()
    assert why in "".join(said)
    assert int(peak) < 150 * 1024  # KiB; the program alone takes some 70 MiB
