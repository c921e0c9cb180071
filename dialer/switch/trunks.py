"""Trunks: by which SIP carrier calls leave, and how it wants numbers and caller IDs.

``<home>/trunks.yaml`` lists them; without that file there is one, ``carrier``, to the simulated
network. ``DIALER_TRUNK=host:port`` sends every trunk to that SIP peer instead. See
docs/trunks.md.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import phonenumbers
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dialer.config import Settings
from dialer.switch import names

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_HOST_PORT = re.compile(r"(?P<host>[A-Za-z0-9.-]+)(:(?P<port>\d{1,5}))?")
_RESERVED = {"global", "system", "general", "authentication"}

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._+@~-]{1,128}$")]


class TrunkError(Exception):
    """A trunk is described wrongly, or cannot work here; the message says what to do."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Nat(_Strict):
    """How the carrier sees this machine, when an address translator is between."""

    external_address: str = ""
    local_networks: tuple[str, ...] = ()

    @field_validator("external_address")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value and not _HOST.fullmatch(value):
            raise ValueError("write the public address or name of this machine, without a port")
        return value

    @field_validator("local_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(
                    f"{network!r} is no network; write for example 192.168.0.0/16"
                ) from error
        return value


class Tls(_Strict):
    """Certificates for trunks with ``transport: tls``; our own one only if the carrier asks."""

    ca_file: str = "/etc/ssl/certs/ca-certificates.crt"
    certificate: str = ""
    key: str = ""
    verify: bool = True


class Trunk(_Strict):
    """One way out.

    ``address`` is ``host`` or ``host:port``. ``username`` switches authentication on; its
    password is the secret ``password_secret`` (default ``trunk_<name>``). ``registers``: the
    carrier wants a registration. ``number_format``: ``plus_e164`` +34600..., ``e164``
    34600..., ``national`` 600..., ``prefixed``: ``prefix`` before e164 (00, or a tech prefix).
    ``caller_id_header``: where the carrier looks for the caller ID beside From. ``check_every``
    seconds an OPTIONS asks whether the carrier is there (0: never; a trunk that does not answer
    refuses calls at once). ``dtmf``: how keys come: ``rfc4733`` as events between the speech,
    ``info`` in SIP, ``inband`` as tones in the speech; ``auto``: events, or tones where the far end
    does not offer events (SIP INFO is understood with each of them).
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    address: str
    transport: Literal["udp", "tcp", "tls"] = "udp"
    srtp: bool = False
    username: Word | None = None
    password_secret: str | None = Field(None, pattern=r"^[a-z0-9_]{1,64}$")
    registers: bool = False
    from_user: Word | None = None
    from_domain: Word | None = None
    outbound_proxy: str | None = None
    number_format: Literal["plus_e164", "e164", "national", "prefixed"] = "plus_e164"
    prefix: str = Field("", pattern=r"^\+?[0-9]{0,12}$")
    caller_id_format: Literal["plus_e164", "e164", "national"] | None = None
    caller_id_header: Literal["from", "pai", "rpid"] = "from"
    dtmf: Literal["auto", "rfc4733", "info", "inband"] = "auto"
    codecs: tuple[Literal["alaw", "ulaw", "g722", "gsm"], ...] = ("alaw", "ulaw")
    max_channels: int = Field(100, ge=1, le=10_000)
    calls_per_second: float = Field(5.0, gt=0, le=500)
    check_every: int = Field(0, ge=0, le=3600)

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value in _RESERVED or value.startswith("transport-"):
            raise ValueError(f"the name {value!r} is Asterisk's own; take another one")
        return value

    @field_validator("address", "outbound_proxy")
    @classmethod
    def _host_port(cls, value: str | None) -> str | None:
        if value is None:
            return None
        match = _HOST_PORT.fullmatch(value)
        if match is None or not _HOST.fullmatch(match["host"]):
            raise ValueError(
                f"{value!r} is no address; write host or host:port, without sip: before it "
                "(IPv4 or a name)"
            )
        if match["port"] and not 0 < int(match["port"]) < 65536:
            raise ValueError(f"port {match['port']} does not exist")
        return value

    @field_validator("codecs")
    @classmethod
    def _some_codec(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one codec; alaw is what Europe's networks speak")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.registers and not self.username:
            raise ValueError("registers needs a username (and its password, see docs/trunks.md)")
        if self.number_format == "prefixed" and not self.prefix:
            raise ValueError("number_format prefixed needs a prefix, for example '00'")
        if self.prefix and self.number_format != "prefixed":
            raise ValueError("a prefix is used with number_format: prefixed only")
        if self.srtp and self.transport != "tls":
            raise ValueError("srtp sends its keys in the SIP messages: set transport: tls too")
        return self

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.partition(":")[0]

    @property
    def address_is_name(self) -> bool:
        """Whether the address has to be looked up."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return True
        return False

    def number(self, e164: str) -> str:
        """A number as this carrier wants it dialled. Raises ValueError if it is not E.164."""
        return _formatted(e164, self.number_format, self.prefix)

    def caller_id_value(self, e164: str) -> str:
        """A caller ID as this carrier wants it shown. Raises ValueError if it is not E.164."""
        default = "e164" if self.number_format == "prefixed" else self.number_format
        return _formatted(e164, self.caller_id_format or default, "")

    def dial_string(self, e164: str, caller_id: str | None = None) -> str:
        """The channel of Originate. Raises ValueError if the number is not E.164, and, where the
        carrier is given national digits, if it is of another country than ``caller_id``: those
        digits would ring at a stranger's here."""
        national = self.number_format == "national" and caller_id is not None
        if national and _parsed(e164).country_code != _parsed(caller_id or "").country_code:
            raise ValueError("a number of another country on a trunk of national numbers")
        return f"PJSIP/{self.number(e164)}@{self.name}"


class TrunkFile(_Strict):
    """What ``trunks.yaml`` says."""

    trunks: tuple[Trunk, ...] = Field(min_length=1)
    nat: Nat = Nat()
    tls: Tls = Tls()

    @field_validator("trunks")
    @classmethod
    def _names_differ(cls, value: tuple[Trunk, ...]) -> tuple[Trunk, ...]:
        seen = [trunk.name for trunk in value]
        for name in set(seen):
            if seen.count(name) > 1:
                raise ValueError(f"two trunks are called {name!r}; rename one")
        return value

    @property
    def by_name(self) -> dict[str, Trunk]:
        """The trunks by name."""
        return {trunk.name: trunk for trunk in self.trunks}

    def get(self, name: str) -> Trunk:
        """The trunk of that name. Raises TrunkError that lists those there are."""
        try:
            return self.by_name[name]
        except KeyError:
            known = ", ".join(sorted(self.by_name))
            raise TrunkError(f"there is no trunk {name!r}; there are: {known}") from None

    def check_against(self, settings: Settings) -> None:
        """Raises TrunkError for a trunk that these settings keep from working."""
        for trunk in self.trunks:
            if _is_loopback(settings.bind) and not _is_loopback(trunk.host):
                raise TrunkError(
                    f"trunk {trunk.name!r} is at {trunk.address}, but SIP is bound to "
                    f"{settings.bind}, from where nothing leaves this machine: set "
                    "DIALER_BIND=0.0.0.0 (or the address of the network card)"
                )
            if trunk.transport == "tls" and not Path(self.tls.ca_file).is_file():
                raise TrunkError(
                    f"trunk {trunk.name!r} uses TLS, but {self.tls.ca_file} does not exist: "
                    "install ca-certificates or set tls.ca_file in trunks.yaml"
                )
            if trunk.username:
                self.password(trunk, settings)

    def password(self, trunk: Trunk, settings: Settings) -> str:
        """The password of a trunk with a username. Raises TrunkError when nobody gave it."""
        name = trunk.password_secret or f"trunk_{trunk.name.replace('-', '_')}"
        folders = [settings.home / "secrets"]
        if settings.secrets_dir is not None:
            folders.insert(0, settings.secrets_dir)
        for folder in folders:
            path = folder / name
            if path.is_file():
                return path.read_text().strip()
        raise TrunkError(
            f"trunk {trunk.name!r} has a username but no password: write it into "
            f"{folders[0] / name} (mode 0600)"
        )


def trunks_path(settings: Settings) -> Path:
    """Where trunks are described."""
    return settings.home / "trunks.yaml"


def load_trunks(settings: Settings) -> TrunkFile:
    """The trunks of an installation.

    Raises TrunkError naming every mistake in ``trunks.yaml``, with what to write instead.
    """
    path = trunks_path(settings)
    found = _read(path) if path.exists() else None
    if settings.trunk is not None:
        known = {trunk.name for trunk in found.trunks} if found else set()
        return TrunkFile(
            trunks=tuple(
                _plain(name, settings.trunk) for name in sorted(known | {names.DEFAULT_TRUNK})
            ),
            nat=found.nat if found else Nat(),
        )
    if found is not None:
        return found
    return TrunkFile(
        trunks=(_plain(names.DEFAULT_TRUNK, f"127.0.0.1:{settings.carrier_sip_port}"),)
    )


def _plain(name: str, address: str) -> Trunk:
    return Trunk.model_validate(
        {"name": name, "address": address, "max_channels": 1000, "calls_per_second": 100.0}
    )


def _read(path: Path) -> TrunkFile:
    try:
        told = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrunkError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(told, dict):
        raise TrunkError(f"{path}: begin with 'trunks:' and a list below it (see docs/trunks.md)")
    try:
        return TrunkFile.model_validate(told)
    except ValidationError as error:
        mistakes = "\n".join(_told(dict(item)) for item in error.errors())
        raise TrunkError(f"{path}:\n{mistakes}") from error


def _told(item: dict[str, Any]) -> str:
    """One mistake in words: where, what."""
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "is not a setting of a trunk; check its spelling (docs/trunks.md lists them)"
    return f"  {where or 'file'}: {message}"


def _formatted(e164: str, form: str, prefix: str) -> str:
    if not _E164.fullmatch(e164):
        raise ValueError("the number is not in E.164 form (+ and 7 to 15 digits)")
    if form == "plus_e164":
        return e164
    if form == "national":
        parsed = _parsed(e164)
        written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
        return re.sub(r"\D", "", written)
    return prefix + e164[1:]


def _parsed(e164: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(e164)
    except phonenumbers.NumberParseException as error:
        raise ValueError("the number has no country's code (E.164)") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
