"""What may be wrong with a message's text, each with its code."""

from __future__ import annotations

from dialer.domain.said import Code


class TextSays(Code):
    """Of texts and the files they stand in."""

    NO_TEMPLATE = (
        "there is no message template %(template)r in %(language)r: use one of %(known)s, "
        "or write it into %(file)s"
    )
    NO_SUCH_PLACE = "message template %(template)r in %(language)r: %(why)s; it may use %(known)s"
    NOT_VALID_IN = "message template %(template)r in %(language)r is no valid template: %(why)s"
    LENGTH = (
        "message template %(template)r in %(language)r gives %(count)s characters: "
        "a message has 1 to %(most)s"
    )
    NO_TEXTS = (
        "there are no message texts in %(language)r in %(folder)s (there are: %(known)s): "
        "write %(language)s.yaml beside them"
    )
    UNREADABLE = "%(file)s cannot be read: %(why)s"
    A_MAPPING = "%(file)s: write a mapping of template names"
    NEEDS_TEXT = "%(file)s: %(name)s needs a 'text'"
    NOT_VALID = "the text is no valid template: %(why)s"
    NO_PROGRAM = "a text has words, {{ places }} and {%% if place %%} only, no %(what)s"
    NO_YAML = "%(file)s is no YAML: %(why)s"
    NO_TEXT = "there is no text %(template)r in %(file)s"
    NOT_IN_FILE_WHY = "the text cannot stand in the file: %(why)s"
    NOT_IN_FILE = "the text cannot stand in the file as it is"
