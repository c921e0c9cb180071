"""Changing one text of ``ivr_flows/messages/<language>.yaml``: the file stays what it was, comments
and all, but for that text.

The file is the one source: who sends reads it, and a change is there for the next message.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import yaml
from jinja2 import Environment, TemplateError, nodes

from dialer.messaging.templates import MessageTemplateError
from dialer.messaging.text_says import TextSays

_PLAIN = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.If)


class ChangedMeanwhile(Exception):
    """The text is no longer what the change was made from."""


def source_of(folder: Path, language: str, template: str) -> str:
    """A text as it is written, with its places. Raises MessageTemplateError."""
    return _find(_read(folder, language), language, template)[0]


def mark_of(text: str) -> str:
    """By which a text is known again."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_writable(folder: Path, language: str) -> bool:
    """Whether this process may change the file: the folder too, since the file is put in place of
    the old one whole."""
    path = folder / f"{language}.yaml"
    return path.is_file() and os.access(path, os.W_OK) and os.access(folder, os.W_OK)


def write_source(folder: Path, language: str, template: str, text: str, mark: str) -> None:
    """Put ``text`` in the place of what ``mark`` is of. Whoever reads meanwhile sees the old file
    or the new one.

    Raises ChangedMeanwhile, MessageTemplateError, OSError where the file cannot be written.
    """
    path = folder / f"{language}.yaml"
    whole = _read(folder, language)
    before, start, end = _find(whole, language, template)
    if mark_of(before) != mark:
        raise ChangedMeanwhile(template)
    changed = whole[:start] + _block(text, whole[start:end]) + whole[end:]
    _check(whole, changed, template, text)
    handle, made = tempfile.mkstemp(dir=folder, prefix=f".{language}.", suffix=".tmp")
    try:
        with open(handle, "w", encoding="utf-8") as out:
            out.write(changed)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(made, path.stat().st_mode & 0o777)
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def tidy(text: str) -> str:
    """Without what cannot be seen: line ends of one kind, no spaces at their ends, no empty lines
    around it."""
    lines = [" ".join(line.split()) for line in text.replace("\r", "\n").split("\n")]
    return "\n".join(line for line in lines if line)


def check_places(source: str) -> None:
    """That a text is words, places (``{{ link }}``) and parts that stand when a place is not empty
    (``{% if auth_code %}``), and no program. Raises MessageTemplateError."""
    try:
        tree = Environment(autoescape=True).parse(source)
    except TemplateError as error:
        raise MessageTemplateError(TextSays.NOT_VALID.say(why=error.message)) from error
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _PLAIN):
            what = type(node).__name__.lower()
            raise MessageTemplateError(TextSays.NO_PROGRAM.say(what=what))


def _read(folder: Path, language: str) -> str:
    path = folder / f"{language}.yaml"
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MessageTemplateError(TextSays.UNREADABLE.say(file=path.name, why=error)) from error


def _find(whole: str, language: str, template: str) -> tuple[str, int, int]:
    """The text, and where it stands. Raises MessageTemplateError."""
    try:
        root = yaml.compose(whole, Loader=yaml.SafeLoader)
        texts = yaml.safe_load(whole)
    except yaml.YAMLError as error:
        raise MessageTemplateError(
            TextSays.NO_YAML.say(file=f"{language}.yaml", why=error)
        ) from error
    for key, entry in root.value if isinstance(root, yaml.MappingNode) else ():
        if key.value != template or not isinstance(entry, yaml.MappingNode):
            continue
        for name, value in entry.value:
            if name.value == "text" and isinstance(value, yaml.ScalarNode):
                found = tidy(str(texts[template]["text"]))
                return found, value.start_mark.index, value.end_mark.index
    raise MessageTemplateError(TextSays.NO_TEXT.say(template=template, file=f"{language}.yaml"))


def _block(text: str, before: str) -> str:
    """As YAML, below a key that is two deep; as much air after it as there was."""
    after = before[len(before.rstrip()) :] if before.lstrip()[:1] in "|>" else ""
    return "|-\n" + "\n".join(f"    {line}" for line in text.split("\n")) + after


def _check(whole: str, changed: str, template: str, text: str) -> None:
    """That nothing else has changed. Raises MessageTemplateError."""
    wanted = yaml.safe_load(whole)
    wanted[template]["text"] = text
    try:
        got = yaml.safe_load(changed)
    except yaml.YAMLError as error:
        raise MessageTemplateError(TextSays.NOT_IN_FILE_WHY.say(why=error)) from error
    if got != wanted:
        raise MessageTemplateError(TextSays.NOT_IN_FILE.say())
