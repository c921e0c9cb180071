"""What the checks find, each with its code."""

from __future__ import annotations

from dialer.domain.said import Code


class Looked(Code):
    """What is looked at."""

    HOST_NAME = "host name"
    CLOCK = "clock"
    OPEN_FILES = "open files"
    RTP_PORTS = "RTP ports"
    PORTS = "ports"
    GATEWAYS = "gateways"
    PAYMENTS = "payments"
    REDIS = "Redis"
    DATABASE = "database"
    PROMPTS = "prompts"
    ASTERISK = "Asterisk"
    RUNNING_ASTERISK = "running Asterisk"
    MODULES = "modules"
    AMI_PERMISSIONS = "AMI permissions"
    AMI_ADDRESS = "AMI address"
    AMI = "AMI"
    CALL_EVENT_LOG = "call event log"
    LOG_LEVELS = "log levels"
    TRACES = "traces"
    CARDS = "cards"
    TRUNKS = "trunks"
    TRUNKS_IN_ASTERISK = "trunks in Asterisk"


class Machine(Code):
    """Of the machine."""

    NOT_RUNNING = "it does not run: its checks were left out"
    CHECK_FAILED = "the check itself failed (%(error)s)"
    NO_ANSWER = "no answer within %(seconds)g s"
    RESOLVES = "%(name)s resolves at once"
    NOT_RESOLVED = (
        "%(name)s does not resolve (%(why)s): each call would wait up to 5 s inside Asterisk"
    )
    CLOCK_WRONG = "the clock says %(date)s: nobody's contact hours would hold"
    NO_ZONE = "the time zone data lack %(zone)s"
    CLOCK_LOOSE = "nothing keeps the clock of this machine in time"
    CLOCK_GOOD = "set and kept in time"
    FILES_GOOD = "enough may be open at once"
    FEW_FILES = "at most %(most)s may be open at once: calls would fail early"
    RTP_EMPTY = "the range %(first)s-%(last)s is empty"
    RTP_HOLDS = "%(ports)s lies within %(first)s-%(last)s"
    RTP_OVERLAPS = (
        "%(first)s-%(last)s overlaps the ports %(low)s-%(high)s that the "
        "system gives to outgoing connections: a call may find its port taken"
    )
    RTP_GOOD = "room for %(calls)s calls at once"
    PORTS_FREE = "free, or held by this installation"
    PORTS_TAKEN = "taken by another program: %(ports)s"
    HELD_BY = "%(name)s %(port)s (%(who)s)"
    OTHER_USER = "a program of another user"


class Service(Code):
    """Of what the dialer works with."""

    NO_GATEWAY = "none: cards are not taken"
    GATEWAYS_WRONG = "not set up: %(what)s"
    THE_SETTING = "the setting gateways"
    OF_CAMPAIGN = "campaign %(name)s"
    WHOSE = "%(whose)s: %(why)s"
    NOT_LOOKED = "not looked at: see the database"
    ONE_IN_DOUBT = (
        "1 payment or refund in doubt for more than an hour: `dialer payments --unresolved` lists"
        " it, `dialer payments resolve` asks its gateway now"
    )
    IN_DOUBT_LONG = (
        "%(count)s payments or refunds in doubt for more than an hour:"
        " `dialer payments --unresolved` lists them, `dialer payments resolve` asks their gateways"
        " now"
    )
    HELD = "%(count)s authorised and not captured: the money is only held, and lapses"
    LOOKED_UP = "%(count)s in doubt, being looked up"
    SETTLED = "all settled"
    SILENT = "%(where)s does not answer (%(error)s)"
    DRIFTS = "its clock differs by %(seconds)s s from this machine's"
    EVICTS = (
        "it may throw waiting messages away when its memory is full (maxmemory-policy %(policy)s)"
    )
    FORGETS = "waiting messages would not outlive a restart of Redis (appendonly no)"
    ANSWERS = "%(where)s answers"
    NOT_OPENED = "%(where)s cannot be opened (%(error)s)"
    NO_TABLES = "%(where)s has no tables yet"
    OTHER_TABLES = "its tables are of version %(current)s, this dialer needs %(newest)s"
    TABLES_GOOD = "%(where)s answers, tables up to date"
    NO_SPEECH = "the speech part cannot be loaded: %(why)s"
    NOT_PLAYED = "%(count)s cannot be played: %(which)s"
    ALL_THERE = "all there"


class Switch(Code):
    """Of Asterisk and its trunks."""

    NONE_HERE = "no Asterisk %(oldest)s or newer on this machine"
    NO_MODULES = "not running: %(modules)s"
    MODULES_GOOD = "all that calls need are running"
    TOO_WIDE = "wider than needed: %(which)s"
    NARROW = "no account hears keys or runs programs"
    LISTENS = "listens on %(address)s only"
    OPEN = (
        "listens on %(address)s: its password and everything else crosses the network unencrypted"
    )
    UNKNOWN_ADDRESS = "an unknown address"
    AMI_SILENT = "port %(port)s of %(host)s does not answer (%(why)s)"
    AMI_REFUSES = "Asterisk refuses the secret of this installation"
    AMI_GOOD = "the engine can log in"
    OFF = "off"
    RECORDS = "records %(what)s: keys, card numbers among them, are written down"
    NO_KEYS = "records no keys"
    WRITTEN = "keys and numbers are written down: %(levels)s"
    WARNINGS_ONLY = "warnings and errors only"
    TRACED = "in the logs: %(what)s"
    UNTRACED = "none in the logs"
    NO_CARDS = "none is taken on the keypad: %(reasons)s"
    CARDS_GOOD = "nothing in Asterisk writes keys down"
    NO_TRUNK = "there is none: no call can leave"
    ANSWER = "%(count)s answer"
    SIMULATED_SILENT = "the simulated network does not run: %(trunks)s"
    TRUNKS_SILENT = "no answer from %(trunks)s"
    NO_CONTACT = "it has none: no call can leave"
    CONTACTS_DEAD = "no answer from %(trunks)s: calls are refused"
    CONTACTS_GOOD = "%(count)s ready"


class Mend(Code):
    """What to do."""

    START_ASTERISK = "start it (`dialer asterisk` or `dialer up`) and run this again"
    REPORT = "see that the rest is well first; if this stays, report it with this line"
    HOSTS = "add the line `127.0.1.1 %(name)s` to /etc/hosts"
    SET_CLOCK = "set the date and switch on time synchronisation (timedatectl set-ntp true)"
    TZDATA = "install the package tzdata (apt-get install tzdata, or pip install tzdata)"
    CHRONY = (
        "install chrony, or run timedatectl set-ntp true; in a virtual machine or "
        "container see to it that the host does"
    )
    ULIMIT = "raise it: `ulimit -n 65536`, or LimitNOFILE= in the service's unit"
    RTP = "set DIALER_RTP_START and DIALER_RTP_END, for example 20000 and 24999"
    PORTS = (
        "end that program, or choose other ports (DIALER_SIP_PORT, DIALER_AMI_PORT, "
        "DIALER_AGI_PORT, DIALER_WEB_PORT, DIALER_REDIS_PORT, ...)"
    )
    GATEWAYS = "docs/payments.md lists the settings of each"
    WORKER = "see that a worker runs (`dialer worker`) and that the gateway answers"
    CAPTURE = (
        "`dialer payments --uncaptured` lists them; `dialer payments capture` takes the money,"
        " `dialer payments void` lets it go"
    )
    OWN_REDIS = "`dialer redis` (or `dialer up`) starts the one of this installation"
    REDIS_URL = "start it, or correct REDIS_URL"
    BOTH_CLOCKS = "switch on time synchronisation on both machines"
    NOEVICTION = "set maxmemory-policy noeviction in redis.conf"
    APPENDONLY = "set appendonly yes in redis.conf"
    DATABASE_URL = "start the database, or correct DATABASE_URL"
    INIT = "run `dialer init`"
    MIGRATE = (
        "run `dialer init`, which brings them up to date (back it up first); if it is "
        "newer than this dialer, update the dialer"
    )
    SETUP = "run `make setup`"
    TEXTS = "correct the texts in ivr_flows"
    PROMPTS = "run `dialer prompts` (or `make setup`)"
    ASTERISK_PATH = "correct DIALER_ASTERISK, or unset it and run `make setup`, which installs one"
    ASTERISK = "run `make setup`, which installs one, or name a binary in DIALER_ASTERISK"
    MODULES = (
        "see why in log/messages.log of the instance folder; a noload line or an Asterisk "
        "built without the module are the usual reasons"
    )
    AMI_CLASSES = (
        "keys, card numbers among them, would leave Asterisk: take these classes out of"
        " manager.conf, then restart Asterisk (`dialer asterisk`), which writes its configuration"
        " anew"
    )
    AMI_BIND = (
        "set bindaddr = 127.0.0.1 in manager.conf, then restart Asterisk (`dialer asterisk`),"
        " which writes its configuration anew"
    )
    AMI_SECRET = (
        "restart Asterisk with `dialer asterisk`; if the secret was changed, both must be "
        "started with the same DIALER_HOME"
    )
    CEL = (
        "set enable = no in cel.conf, then restart Asterisk (`dialer asterisk`), which writes its"
        " configuration anew"
    )
    LOGGER = (
        "leave only warning,error in logger.conf, run `core set debug 0` and delete what was"
        " written; then restart Asterisk (`dialer asterisk`), which writes its configuration anew"
    )
    DELETE_LOGS = (
        "delete these logs, they hold numbers and keys; to end the traces, restart Asterisk"
        " (`dialer asterisk`), which writes its configuration anew"
    )
    CARDS = (
        "put that right, then restart Asterisk (`dialer asterisk`), which writes its configuration"
        " anew; until then debtors are offered the link"
    )
    TRUNKS_FILE = "correct %(path)s or DIALER_TRUNK"
    A_TRUNK = "describe one in %(path)s, or set DIALER_TRUNK=host:port"
    CARRIER = "start it with `dialer carrier`, or name a real trunk in %(path)s"
    CHECK_LINE = (
        "check address and port with the carrier, the firewall (UDP both ways), and that "
        "the carrier knows this machine's public address"
    )
    START_AGAIN = (
        "start it again with `dialer asterisk`, which writes its configuration anew, "
        "and look into log/messages.log of the instance folder"
    )
