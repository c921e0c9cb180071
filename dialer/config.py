"""Settings: from the environment, then ``DIALER_HOME/config.yaml``, then the defaults here.

A bad setting stops the start with a message that names it. Secrets come from the environment,
from files (``DIALER_SECRETS_DIR``, one file a setting, named like it), or are made once by
``dialer init`` into ``DIALER_HOME/secrets``.
"""

from __future__ import annotations

import os
import re
import secrets
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

ROOT = Path(__file__).resolve().parent.parent
"""The checkout (or the installed tree): asterisk_conf/ and ivr_flows/ lie here."""

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
Port = Annotated[int, Field(ge=1, le=65535)]


class ConfigError(Exception):
    """A setting is wrong; the message names it and says what to do."""


def _home() -> Path:
    return Path(os.environ.get("DIALER_HOME") or ".dialer").expanduser().absolute()


def _named(name: str) -> Any:
    """A field that keeps its well-known name in the environment (no DIALER_ prefix)."""
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """What one installation is told. Every field is a setting ``DIALER_<NAME>`` unless named."""

    model_config = SettingsConfigDict(
        env_prefix="DIALER_",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        ignored_types=(cached_property,),
    )

    home: Path = Field(default_factory=_home, description="state folder of this installation")
    cache: Path | None = Field(None, description="downloads, outside the checkout")
    flows_dir: Path = Field(ROOT / "ivr_flows", description="flows and prompt texts")
    voice: Literal["auto", "pico", "espeak", "command"] = "auto"
    voice_command: str = Field("", description="program that speaks: text in, {out} a sound file")
    asterisk: str | None = Field(None, description="path of an asterisk binary to use")
    asterisk_suite: str = Field("forky", description="Debian suite of the portable Asterisk")

    database_url: str = Field("", validation_alias=_named("DATABASE_URL"))
    redis_url: str = Field("", validation_alias=_named("REDIS_URL"))
    redis_port: Port = 6390

    twilio_api_base: str = Field("", validation_alias=_named("TWILIO_API_BASE"))
    twilio_account_sid: str = Field("", validation_alias=_named("TWILIO_ACCOUNT_SID"))
    twilio_auth_token: SecretStr = Field(
        SecretStr(""), validation_alias=_named("TWILIO_AUTH_TOKEN")
    )
    twilio_from: str = Field("+34600000000", validation_alias=_named("TWILIO_FROM"))
    sms_price: str = Field("", description="what one SMS costs, to be shown: 0.065 EUR")
    gateways: dict[str, str] = Field(
        default_factory=dict,
        description='gateway by country of the company, "*" for the others: {"ES": "redsys"}',
    )
    gateway_seconds: float = Field(15.0, gt=0.5, le=60, description="longest wait for an answer")
    payment_settle_seconds: float = Field(
        180.0, ge=1, description="after this a gateway that never heard of a payment is believed"
    )
    test_acquirer_api_base: str = Field("", validation_alias=_named("TEST_ACQUIRER_API_BASE"))
    stripe_api_base: str = Field("", validation_alias=_named("STRIPE_API_BASE"))
    redsys_api_base: str = Field("", validation_alias=_named("REDSYS_API_BASE"))
    redsys_merchant_code: str = Field("", validation_alias=_named("REDSYS_MERCHANT_CODE"))
    redsys_terminal: str = Field("1", validation_alias=_named("REDSYS_TERMINAL"))
    redsys_secret_key: SecretStr = Field(
        SecretStr(""), validation_alias=_named("REDSYS_SECRET_KEY")
    )
    mercadopago_api_base: str = Field("", validation_alias=_named("MERCADOPAGO_API_BASE"))
    mercadopago_telephone: bool = Field(
        False,
        validation_alias=_named("MERCADOPAGO_TELEPHONE"),
        description="Mercado Pago has agreed in writing to orders by telephone",
    )
    mercadopago_payer_email: str = Field("", validation_alias=_named("MERCADOPAGO_PAYER_EMAIL"))
    mercadopago_cardholder: str = Field(
        "TITULAR DE LA TARJETA", validation_alias=_named("MERCADOPAGO_CARDHOLDER")
    )

    public_url: str = Field("", description="where the web app is reached from outside")
    pay_link_base: str = Field("", description="base of payment links; default public_url/p")

    smtp_host: str = Field("", description="mail server that takes reports; empty: none is sent")
    smtp_port: Port = 587
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="none only for a server on this machine or network"
    )
    smtp_user: str = Field("", description="name at the mail server; empty: it asks for none")
    smtp_password: SecretStr = Field(SecretStr(""), description="or the secret smtp_password")
    smtp_from: str = Field("", description="address that reports come from")

    oidc_issuer: str = Field(
        "", description="OpenID provider that people log in by, as it names itself; empty: none"
    )
    oidc_client_id: str = Field("", description="what the provider calls this installation")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="or the secret oidc_client_secret"
    )
    oidc_domains: list[str] = Field(
        default_factory=list,
        description='whose addresses the provider answers for: ["example.com"]',
    )
    oidc_name: str = Field("", max_length=40, description="on the button; default: its host")
    local_log_in: bool = Field(True, description="passwords of our own let in, too")

    webhook_private: list[str] = Field(
        default_factory=list,
        description='private networks that webhooks may go to: ["10.1.0.0/16", "127.0.0.1"]',
    )

    lease_seconds: float = Field(10.0, gt=0.2, description="life of a campaign lease")
    node: str = Field("node1", pattern=r"^[a-z0-9_-]{1,32}$", description="name of the switch node")
    trunk: str | None = Field(None, description="host:port of a SIP peer, in place of the network")
    bind: str = Field("127.0.0.1", description="address of SIP and RTP")
    sip_port: Port = 5160
    rtp_start: Port = 20000
    rtp_end: Port = 24999
    ami_port: Port = 5138
    ami_user: str = "dialer"
    agi_host: str = "127.0.0.1"
    agi_port: Port = 4573
    payments_agi_port: Port = 4574
    payments_ami_user: str = "dialer-payments"
    switch_host: str = Field("127.0.0.1", description="where AMI is reached")

    agents: bool = Field(False, description="agents work here: browsers and phones may call in")
    http_port: Port = Field(8188, description="where browsers reach Asterisk (websocket, /ws)")
    browser_ws: str = Field("", description="address of that websocket as browsers see it")
    agent_heartbeat_seconds: float = Field(
        15.0, ge=2, le=120, description="a desk that says nothing for so long is away"
    )
    queue_escape_seconds: float = Field(
        180.0, ge=10, le=1800, description="the longest wait for a person"
    )

    carrier_sip_port: Port = 5170
    carrier_rtp_start: Port = 25000
    carrier_rtp_end: Port = 29999
    carrier_ami_port: Port = 5139

    web_host: str = "127.0.0.1"
    web_port: Port = 8080
    twilio_double_port: Port = 8181
    engine_health_port: Port = 9101
    ivr_health_port: Port = 9102
    worker_health_port: Port = 9103
    payments_health_port: Port = 9104
    acquirer_double_port: Port = 8182

    recording_days: int = Field(
        180, ge=0, description="recordings older than so many days are removed; 0 keeps them"
    )

    secrets_dir: Path | None = Field(None, description="folder with one file a secret")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "text"] = "json"

    @field_validator("webhook_private")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for one in value:
            ip_network(one)
        return value

    @model_validator(mode="after")
    def _openid_is_whole(self) -> Self:
        if not self.oidc_issuer:
            for name in ("oidc_client_id", "oidc_domains"):
                if getattr(self, name):
                    raise ValueError(f"{name}: set oidc_issuer too, or take it out")
            if not self.local_log_in:
                raise ValueError("local_log_in: nobody could log in; set oidc_issuer first")
            return self
        address = urlsplit(self.oidc_issuer)
        local = address.hostname in ("127.0.0.1", "::1", "localhost")
        if not address.hostname or (address.scheme != "https" and not local):
            raise ValueError("oidc_issuer: an address that begins with https://")
        if address.query or address.fragment or address.username is not None:
            raise ValueError("oidc_issuer: an address alone, without ?, # and @")
        if not self.oidc_client_id:
            raise ValueError("oidc_client_id: the provider gives it to this installation")
        if not self.oidc_domains:
            raise ValueError('oidc_domains: whose addresses may come in, like ["example.com"]')
        for one in self.oidc_domains:
            if not _DOMAIN.fullmatch(one):
                raise ValueError(f"oidc_domains: {one!r} is no domain; write it like example.com")
        return self

    @field_validator("trunk")
    @classmethod
    def _trunk_is_host_port(cls, value: str | None) -> str | None:
        if value is None or value == "":
            return None
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("write it as host:port, for example 192.0.2.10:5060")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, config.yaml of the home; secrets are read in ``secret``."""
        yaml_file = _home() / "config.yaml"
        return (
            init_settings,
            env_settings,
            YamlConfigSettingsSource(settings_cls, yaml_file=yaml_file),
        )

    # --- derived -------------------------------------------------------------------------

    @property
    def cache_dir(self) -> Path:
        """Where downloads are kept: DIALER_CACHE, XDG_CACHE_HOME/dialer, ~/.cache/dialer."""
        if self.cache is not None:
            return self.cache.expanduser().absolute()
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return Path(base).expanduser().absolute() / "dialer"

    @property
    def database(self) -> str:
        """SQLAlchemy URL; SQLite in the home unless DATABASE_URL says otherwise."""
        url = self.database_url or f"sqlite:///{self.home / 'dialer.db'}"
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url[len(short) :]
        return url

    @property
    def redis(self) -> str:
        """Redis URL; an embedded one on ``redis_port`` unless REDIS_URL says otherwise."""
        return self.redis_url or f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def twilio_base(self) -> str:
        """Base address of Twilio's API without trailing slash; empty: Twilio's own."""
        return self.twilio_api_base.rstrip("/")

    @property
    def web_url(self) -> str:
        """Where callbacks reach us, without trailing slash."""
        return (self.public_url or f"http://127.0.0.1:{self.web_port}").rstrip("/")

    @property
    def browser_socket(self) -> str:
        """Asterisk's websocket as agents' browsers see it."""
        return self.browser_ws or f"ws://{self.bind}:{self.http_port}/ws"

    @property
    def link_base(self) -> str:
        """Base of payment links, without trailing slash."""
        return (self.pay_link_base or f"{self.web_url}/p").rstrip("/")

    @property
    def prompts_dir(self) -> Path:
        """Rendered prompts: <home>/prompts/<language>/<name>.alaw|.ulaw|.wav."""
        return self.home / "prompts"

    def secret(self, name: str) -> str:
        """The secret of that name, made once (32 url-safe bytes) if nobody gave one.

        Looked up in ``secrets_dir`` first, then in ``home/secrets``; files are 0600.
        """
        if self.secrets_dir is not None and (self.secrets_dir / name).is_file():
            return (self.secrets_dir / name).read_text().strip()
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = secrets.token_urlsafe(32)
            try:
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                    out.write(fresh)
            except FileExistsError:
                pass
        return path.read_text().strip()

    @property
    def smtp_secret(self) -> str:
        """The password of the mail server: DIALER_SMTP_PASSWORD, or the secret ``smtp_password``;
        none is made up."""
        if given := self.smtp_password.get_secret_value():
            return given
        for folder in filter(None, (self.secrets_dir, self.home / "secrets")):
            if (folder / "smtp_password").is_file():
                return (folder / "smtp_password").read_text().strip()
        return ""

    @property
    def oidc_secret(self) -> str:
        """What the OpenID provider knows this installation by: DIALER_OIDC_CLIENT_SECRET, or the
        secret ``oidc_client_secret``; none is made up. Raises ConfigError."""
        if given := self.oidc_client_secret.get_secret_value():
            return given
        for folder in filter(None, (self.secrets_dir, self.home / "secrets")):
            if (folder / "oidc_client_secret").is_file():
                return (folder / "oidc_client_secret").read_text().strip()
        raise ConfigError(
            "the OpenID provider's secret is missing: put it into the file oidc_client_secret of"
            " the secrets, or into DIALER_OIDC_CLIENT_SECRET"
        )

    @property
    def smtp_sender(self) -> str:
        """Where mail says that it comes from."""
        return self.smtp_from or self.smtp_user or f"dialer@{self.smtp_host or 'localhost'}"

    @property
    def twilio_token(self) -> str:
        """Twilio's auth token: TWILIO_AUTH_TOKEN, or the secret ``twilio_auth_token``."""
        return self.twilio_auth_token.get_secret_value() or self.secret("twilio_auth_token")

    @property
    def twilio_sid(self) -> str:
        """The account; a made-up one serves the local double only."""
        return self.twilio_account_sid or "AC" + "0" * 32


def load_settings(**overrides: Any) -> Settings:
    """Read the settings.

    Raises ConfigError naming every wrong setting, with what was expected.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            where = ".".join(str(part) for part in item["loc"]) or "settings"
            lines.append(f"  {where}: {item['msg']}")
        raise ConfigError("these settings are wrong:\n" + "\n".join(lines)) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"the settings could not be read: {error}") from error
