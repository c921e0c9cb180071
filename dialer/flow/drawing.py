"""A flow drawn as SVG, without any program on the machine: grandalf lays out, this file draws.

Ways out that many nodes share (no key, wrong key, no more calls) would be a web of lines; they
are written into the node instead, in the colour of where they lead.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape

from grandalf.graphs import Edge, Graph, Vertex
from grandalf.layouts import SugiyamaLayout

from dialer.flow.model import Flow
from dialer.flow.nodes import Exit, ExitKind
from dialer.flow.prompts import Prompts

WIDTH = 236
LINE = 17
PAD = 10
HEAD = 26
GAP_X, GAP_Y = 40, 66
MARGIN = 28
TITLE = 34
SHARED_FROM = 4
"""A node that so many ways lead to is written, not drawn to."""
TEXT_LINES = 3
CHIP_CHARS = 32
"""Of a way that is written into a box: label and target."""

_COLOURS = {
    "say": ("#e8f0fe", "#3b6fb6"),
    "menu": ("#fff6dd", "#b98512"),
    "identity": ("#efe6fb", "#7a4bb3"),
    "pay": ("#e3f6e8", "#2e8b57"),
    "promise": ("#e3f6e8", "#2e8b57"),
    "send_link": ("#e3f6e8", "#2e8b57"),
    "agent": ("#e3f6e8", "#2e8b57"),
    "opt_out": ("#fde7e4", "#c0463a"),
    "go_back": ("#eef1f4", "#6b7785"),
    "end": ("#eef1f4", "#3c4650"),
}
_INK = "#6b7785"
_NOTE = "#9c2f1b"
_OPEN = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" \
font-family="DejaVu Sans, Arial, sans-serif">
<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" \
orient="auto"><path d="M0 0L10 5L0 10z" fill="{ink}"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>"""
_PLAIN = ("#ffffff", "#444444")
_SAYS = {
    ExitKind.TIMEOUT: "no key",
    ExitKind.WRONG_KEY: "wrong key",
    ExitKind.NO_MATCH: "no match",
    ExitKind.MATCHED: "matched",
    ExitKind.UNAVAILABLE: "cannot",
    ExitKind.BACK: "again",
    ExitKind.RESULT: "",
    ExitKind.NEXT: "",
    ExitKind.KEY: "",
}

OWN_WORDS = (*filter(None, _SAYS.values()), "then", "outcome")
"""What a drawing says beside the texts and names of its flow."""


@dataclass(frozen=True, slots=True)
class Note:
    """A line at the foot of a node; ``share`` (0 to 1) is drawn as a bar below it."""

    text: str
    share: float = 0.0


@dataclass
class _Box:
    """A node to be drawn; x and y are its centre."""

    name: str
    kind: str
    text: list[str]
    chips: list[tuple[str, str]]  # (label, node it leads to)
    outcomes: str
    note: Note | None = None
    x: float = 0.0
    y: float = 0.0

    w: int = WIDTH

    @property
    def h(self) -> int:
        lines = len(self.text) + len(self.chips) + bool(self.outcomes) + bool(self.note)
        return HEAD + (PAD if lines else 6) + lines * LINE

    @property
    def colours(self) -> tuple[str, str]:
        return _COLOURS.get(self.kind, _PLAIN)


Point = tuple[float, float]


@dataclass
class _Arrow:
    """Ways out of one node to another, as one line; ``path``: from box to box."""

    source: _Box
    target: _Box
    labels: list[str]
    path: list[Point] = field(default_factory=list)

    @property
    def label(self) -> str:
        return ", ".join(filter(None, self.labels))

    def setpath(self, points: list[Point]) -> None:
        """Called by grandalf: the centres, with bends between where layers are skipped."""
        self.path = list(points)


@dataclass
class _View:
    """What grandalf wants on a vertex."""

    w: float
    h: float
    xy: Point = (0.0, 0.0)


def draw(
    flow: Flow,
    prompts: Prompts | None = None,
    *,
    notes: Mapping[str, Note] | None = None,
    words: Mapping[str, str] | None = None,
) -> str:
    """The drawing as an SVG document; with ``prompts`` each node shows what it says.

    ``notes``: of nodes, by name. ``words``: what the drawing itself says (``OWN_WORDS``), in
    another language.
    """
    said = words or {}
    shared = _shared(flow)
    boxes = {name: _box(flow, name, shared, prompts, said) for name in flow.nodes}
    for name, note in (notes or {}).items():
        if name in boxes:
            boxes[name].note = note
    arrows: dict[tuple[str, str], _Arrow] = {}
    for name, node in flow.nodes.items():
        for way in node.exits():
            if way.target in shared or way.kind is ExitKind.BACK:
                continue
            arrow = arrows.setdefault(
                (name, way.target), _Arrow(boxes[name], boxes[way.target], [])
            )
            arrow.labels.append(_label(way, said))
    _lay_out(boxes, arrows, flow.start)
    return _svg(flow, boxes, list(arrows.values()))


def _shared(flow: Flow) -> set[str]:
    into = Counter(way.target for node in flow.nodes.values() for way in node.exits())
    return {name for name, count in into.items() if count >= SHARED_FROM}


def _label(way: Exit, said: Mapping[str, str]) -> str:
    own = _SAYS[way.kind]
    return way.label or said.get(own, own)


def _box(
    flow: Flow, name: str, shared: set[str], prompts: Prompts | None, said: Mapping[str, str]
) -> _Box:
    node = flow.nodes[name]
    text: list[str] = []
    spoken = node.spoken()
    if node.about:
        text = _wrap(node.about, 34, TEXT_LINES)
    elif prompts is not None and spoken:
        prompt = prompts.by_key.get(spoken[0].choices[-1][0])
        text = _wrap(prompt.text, 34, TEXT_LINES) if prompt else []
    by_target: dict[str, list[str]] = {}
    for way in node.exits():
        if way.target in shared or way.kind is ExitKind.BACK:
            by_target.setdefault(way.target, []).append(_label(way, said))
    chips = [
        (line.rstrip(","), target)
        for target, labels in by_target.items()
        for line in textwrap.wrap(
            ", ".join(labels) or said.get("then", "then"), max(8, CHIP_CHARS - len(target))
        )
    ]
    outcomes = ", ".join(said.get(one.value, one.value) for one in node.outcomes())
    if outcomes:
        outcomes = f"{said.get('outcome', 'outcome')}: {outcomes}"
    return _Box(name, node.type, text, chips, outcomes)


def _wrap(text: str, width: int, most: int) -> list[str]:
    lines = textwrap.wrap(text, width)
    return lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1][:-1] + "…"]


def _lay_out(boxes: dict[str, _Box], arrows: dict[tuple[str, str], _Arrow], start: str) -> None:
    """Each connected part from top to bottom, the parts side by side, the first node's first."""
    vertices = {name: Vertex(name) for name in boxes}
    for name, vertex in vertices.items():
        vertex.view = _View(boxes[name].w, boxes[name].h)
    edges = []
    for (source, target), arrow in arrows.items():
        edge = Edge(vertices[source], vertices[target])
        edge.view = arrow
        edges.append(edge)
    graph = Graph(list(vertices.values()), edges)
    parts = sorted(graph.C, key=lambda part: vertices[start] not in part.sV)
    left = 0.0
    for part in parts:
        layout = SugiyamaLayout(part)
        layout.xspace, layout.yspace = GAP_X, GAP_Y
        layout.init_all(roots=[vertex for vertex in part.sV if not vertex.e_in()])
        layout.draw(12)
        placed = [boxes[vertex.data] for vertex in part.sV]
        xs = [vertex.view.xy[0] - boxes[vertex.data].w / 2 for vertex in part.sV]
        ys = [vertex.view.xy[1] - boxes[vertex.data].h / 2 for vertex in part.sV]
        dx, dy = left - min(xs), -min(ys)
        for vertex in part.sV:
            x, y = vertex.view.xy
            boxes[vertex.data].x, boxes[vertex.data].y = x + dx, y + dy
        _push_apart(placed)
        for edge in part.sE:
            edge.view.path = [(x + dx, y + dy) for x, y in edge.view.path]
        left = max(box.x + box.w / 2 for box in placed) + GAP_X


def _push_apart(boxes: list[_Box]) -> None:
    """Boxes of one layer that the layout left one over the other, moved to the right."""
    layers: dict[int, list[_Box]] = {}
    for box in boxes:
        layers.setdefault(round(box.y), []).append(box)
    for layer in layers.values():
        layer.sort(key=lambda box: box.x)
        for one, other in pairwise(layer):
            other.x = max(other.x, one.x + (one.w + other.w) / 2 + GAP_X)


def _svg(flow: Flow, boxes: dict[str, _Box], arrows: list[_Arrow]) -> str:
    right = max(box.x + box.w / 2 for box in boxes.values()) + 2 * MARGIN
    bottom = max(box.y + box.h / 2 for box in boxes.values()) + 2 * MARGIN + TITLE
    parts = [
        _OPEN.format(w=round(right), h=round(bottom), ink=_INK),
        _text(MARGIN, TITLE - 6, flow.title or flow.name, "#20262c", size=20, bold=True),
        f'<g transform="translate({MARGIN} {MARGIN + TITLE})">',
    ]
    parts += _arrows_svg(arrows)
    parts += [_box_svg(boxes, box, box.name == flow.start) for box in boxes.values()]
    parts.append("</g></svg>")
    return "\n".join(parts) + "\n"


def _arrows_svg(arrows: list[_Arrow]) -> list[str]:
    """The lines, each leaving its box at a place of its own, with its key on it."""
    leaving: dict[str, list[_Arrow]] = {}
    for arrow in arrows:
        leaving.setdefault(arrow.source.name, []).append(arrow)
    lines, labels = [], []
    for group in leaving.values():
        group.sort(key=lambda one: one.path[1][0] if len(one.path) > 1 else one.target.x)
        widths = [_pill_width(arrow) + 8 for arrow in group]
        x = group[0].source.x - sum(widths) / 2
        for arrow, width in zip(group, widths, strict=True):
            box, target = arrow.source, arrow.target
            begin = (x + width / 2, box.y + box.h / 2)
            end = (target.x, target.y - target.h / 2)
            lines.append(
                f'<path d="{_curve([begin, *arrow.path[1:-1], end])}" fill="none" '
                f'stroke="{_INK}" stroke-width="1.4" marker-end="url(#arrow)"/>'
            )
            if arrow.label:
                labels.append(_pill(begin[0], begin[1] + 13, arrow.label, width - 8))
            x += width
    return lines + labels


def _curve(points: list[Point]) -> str:
    """Vertical at every point, so that lines leave and enter boxes straight."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        bend = (y2 - y1) / 2
        path += f"C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
    return path


def _pill_width(arrow: _Arrow) -> float:
    return 12 + 6.6 * len(arrow.label)


def _pill(x: float, y: float, label: str, width: float) -> str:
    place = f'x="{x - width / 2:.1f}" y="{y - 9:.1f}" width="{width:.1f}" height="18" rx="9"'
    text = _text(x, y + 4, label, "#20262c", anchor="middle")
    return f'<rect {place} fill="#ffffff" stroke="{_INK}"/>{text}'


def _box_svg(boxes: dict[str, _Box], box: _Box, first: bool) -> str:
    fill, ink = box.colours
    x, y = box.x - box.w / 2, box.y - box.h / 2
    width = 3 if first else 1.3
    left = x + PAD
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.w}" height="{box.h}" rx="8"',
        f' fill="{fill}" stroke="{ink}" stroke-width="{width}"/>',
        _text(left, y + 19, box.name, ink, size=13.5, bold=True),
        _text(x + box.w - PAD, y + 19, box.kind.replace("_", " "), ink, anchor="end"),
    ]
    line = y + HEAD + 14
    for text in box.text:
        parts.append(_text(left, line, text, "#39424b"))
        line += LINE
    if box.outcomes:
        parts.append(_text(left, line, box.outcomes, ink))
        line += LINE
    for label, target in box.chips:
        colour = boxes[target].colours[1]
        parts.append(f'<circle cx="{left + 4:.1f}" cy="{line - 4:.1f}" r="4" fill="{colour}"/>')
        parts.append(_text(left + 14, line, f"{label} \u2192 {target}", colour))
        line += LINE
    if box.note is not None:
        width = (box.w - 2 * PAD) * min(max(box.note.share, 0.0), 1.0)
        parts.append(_text(left, line, box.note.text, _NOTE, bold=True))
        parts.append(
            f'<rect x="{left:.1f}" y="{line + 4:.1f}" width="{width:.1f}" height="4" rx="2"'
            f' fill="{_NOTE}"/>'
        )
    return "\n".join(parts)


def _text(
    x: float,
    y: float,
    text: str,
    colour: str,
    *,
    size: float = 11,
    bold: bool = False,
    anchor: str = "start",
) -> str:
    weight = "bold" if bold else "normal"
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    look = f'font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f"<text {place} {look}>{escape(text)}</text>"
