"""Faces of the simulated bank: each module here looks like one gateway's API.

A module has ``NAME`` (as in ``dialer.payments.gateways.KNOWN``; its paths begin ``/<NAME>``) and
``face(desk: Desk) -> flask.Blueprint``. It is found by being here.
"""

from __future__ import annotations

import importlib
import pkgutil

from flask import Blueprint

from dialer.simulation.bank.desk import Desk


def all_faces(desk: Desk) -> dict[str, Blueprint]:
    """Name -> blueprint of every face, without its prefix."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name.startswith("_"):  # shared by faces
            continue
        module = importlib.import_module(f"{__name__}.{info.name}")
        found[module.NAME] = module.face(desk)
    return found
