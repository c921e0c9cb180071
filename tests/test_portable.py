"""Finding and installing Asterisk: sources, trust, interruption, concurrency, a real start."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from apt_archive import Archive, Keys

from dialer.switch import apt_prefix, portable
from dialer.switch.apt_prefix import AptError, PrivateApt, Recipe, UntrustedRelease
from dialer.switch.apt_sources import (
    Release,
    Source,
    other_suite,
    own_suite,
    parse_deb822,
    parse_one_line,
    read_sources,
)
from dialer.switch.portable import AsteriskNotFound, Machine

DEBIAN = Release("debian", "bookworm")

needs_apt = pytest.mark.skipif(
    not all(map(shutil.which, ("gpg", "apt-get", "dpkg-deb"))),
    reason="a private archive needs apt and gpg",
)


def test_deb822_entries_are_read_with_their_keys() -> None:
    text = """\
# the machine's own
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
URIs: http://off.invalid/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.invalid/debian
Suites: bookworm
Components: main
"""
    found = parse_deb822(text)
    assert [(s.uri, s.suite, s.components) for s in found] == [
        ("http://mirror.invalid/debian", "bookworm", ("main", "contrib")),
        ("http://mirror.invalid/debian", "bookworm-updates", ("main", "contrib")),
    ]
    assert found[0].signed_by.splitlines()[1:3] == [" -----BEGIN PGP PUBLIC KEY BLOCK-----", " ."]
    assert parse_deb822(found[0].deb822()) == [found[0]], "what we write is what we read"


def test_one_line_entries_and_never_a_blind_trust() -> None:
    text = """\
# deb http://no.invalid/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://a.invalid/debian bookworm main # note
deb-src http://a.invalid/debian bookworm main
deb https://b.invalid/debian-security bookworm-security main contrib
"""
    first, second = parse_one_line(text)
    assert first == Source("http://a.invalid/debian", "bookworm", ("main",), "/k.gpg")
    assert second.components == ("main", "contrib")
    assert "rusted" not in first.deb822()


def test_sources_of_both_styles_are_read_and_others_left(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://a.invalid/debian bookworm main\n")
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "b.sources").write_text(
        "Types: deb\nURIs: http://b.invalid/debian\nSuites: bookworm\nComponents: main\n"
    )
    (parts / "c.list.disabled").write_text("deb http://c.invalid/debian bookworm main\n")
    (parts / "d.list").write_text("deb cdrom:[Debian]/ bookworm main\n")
    assert [s.uri for s in read_sources(tmp_path)] == [
        "http://a.invalid/debian",
        "http://b.invalid/debian",
    ]
    assert read_sources(tmp_path / "absent") == []


def test_the_distributions_mirror_is_told_from_a_shop() -> None:
    shop = Source("https://shop.invalid/linux/chrome/deb", "stable", ("main",), "/shop.gpg")
    tools = Source("https://tools.invalid/apt", "bookworm", ("main",), "/tools.gpg")
    stable_only = Source("https://docker.invalid/linux/debian", "bookworm", ("stable",))
    mirror = Source("http://m.invalid/debian", "bookworm", ("main",), "/debian.gpg")
    security = Source("http://m.invalid/debian-security", "bookworm-security", ("main",))
    sources = [shop, tools, stable_only, security, mirror]
    assert own_suite(sources, DEBIAN) == [tools, security, mirror]
    asked = other_suite(sources, DEBIAN, "forky")
    assert asked[0] == Source("http://m.invalid/debian", "forky", ("main",), "/debian.gpg")
    assert all(s.uri != security.uri for s in asked)


def test_a_machine_that_follows_testing_is_understood() -> None:
    rolling = Source("http://m.invalid/debian", "testing", ("main",))
    assert own_suite([rolling], Release("debian", "forky")) == [rolling]


# --- choosing the binary -------------------------------------------------------------------


def _fake_asterisk(folder: Path, version: str) -> Path:
    binary = folder / "sbin/asterisk"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\necho 'Asterisk {version}'\n")
    binary.chmod(0o755)
    (folder / "lib/asterisk/modules").mkdir(parents=True)
    (folder / "share/asterisk/sounds").mkdir(parents=True)
    return binary


def test_a_named_binary_is_taken_with_the_folders_beside_it(tmp_path: Path) -> None:
    binary = _fake_asterisk(tmp_path, "22.10.1~dfsg+~cs6")
    found = portable.find_asterisk(named=str(binary), cache=tmp_path / "cache")
    assert found is not None
    assert (found.kind, found.version, found.major) == ("named", "22.10.1", 22)
    assert found.argv == (str(binary),)
    assert found.module_dir == tmp_path / "lib/asterisk/modules"
    assert found.sounds_dir == tmp_path / "share/asterisk/sounds"


@pytest.mark.parametrize(("version", "says"), [("18.20.0", "18.20.0"), ("", "not an Asterisk")])
def test_a_named_binary_that_cannot_serve_stops_the_start(
    tmp_path: Path, version: str, says: str
) -> None:
    binary = _fake_asterisk(tmp_path, version)
    with pytest.raises(AsteriskNotFound, match=says):
        portable.find_asterisk(named=str(binary), cache=tmp_path)
    with pytest.raises(AsteriskNotFound, match="DIALER_ASTERISK"):
        portable.find_asterisk(named=str(tmp_path / "nothing"), cache=tmp_path)


def test_an_old_asterisk_on_the_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _fake_asterisk(tmp_path / "old", "16.28.0")
    new = _fake_asterisk(tmp_path / "new", "20.6.0")
    monkeypatch.delenv("DIALER_ASTERISK", raising=False)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    assert portable.find_asterisk(cache=tmp_path / "empty") is None
    monkeypatch.setenv("PATH", f"{new.parent}:/usr/bin:/bin")
    found = portable.find_asterisk(cache=tmp_path / "empty")
    assert found is not None
    assert (found.kind, found.version) == ("system", "20.6.0")


def test_the_cache_lies_outside_of_the_checkout() -> None:
    assert portable.cache_folder({"DIALER_CACHE": "/c"}) == Path("/c")
    assert portable.cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/dialer")
    assert portable.cache_folder({}) == Path.home() / ".cache/dialer"


@pytest.mark.parametrize(
    ("version", "major"), [("1:22.10.1+dfsg", 22), ("20.6.0~dfsg", 20), ("", 0)]
)
def test_the_version_of_a_package(version: str, major: int) -> None:
    assert portable._major_of_package(version) == major


# --- an archive of our own -----------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    # gpg's socket path is limited to about 100 characters: a short folder.
    keys = Keys(tmp_path_factory.mktemp("k") / "g")
    keys.make("old")
    keys.make("new")
    yield keys
    keys.stop()


@pytest.fixture
def archive(tmp_path: Path, keys: Keys) -> Archive:
    return Archive(tmp_path / "debian", keys)


def _machine(archive: Archive, *trusted: str, codename: str = "bookworm") -> Machine:
    keyring = archive.keys.keyring(archive.root / "machine.gpg", *trusted)
    source = Source(archive.uri, codename, ("main",), str(keyring))
    return Machine(Release("debian", codename), [source])


def _asterisk_packages(archive: Archive, suite: str, version: str) -> None:
    says = version.partition(":")[2] or version
    archive.package(
        suite,
        "libthing",
        "1",
        {
            "usr/lib/x86_64-linux-gnu/libthing.so.1": "x",
            "usr/lib64/ld-linux-x86-64.so.2": '#!/bin/sh\nshift 2\nexec "$@"\n',
        },
    )
    archive.package(
        suite,
        "asterisk",
        version,
        {
            "usr/sbin/asterisk": f"#!/bin/sh\necho Asterisk {says}\n",
            "usr/share/asterisk/sounds/en_US_f_Allison/hello.gsm": "x",
            "usr/share/asterisk/there": "-> /usr/share/asterisk/sounds",
        },
        depends="libthing, asterisk-modules",
    )
    archive.package(
        suite,
        "asterisk-modules",
        version,
        {
            "usr/lib/x86_64-linux-gnu/asterisk/modules/chan_pjsip.so": "x",
        },
    )
    archive.package(suite, "sip-tester", "3.7", {"usr/bin/sipp": "#!/bin/sh\necho sipp\n"})


@needs_apt
def test_the_running_release_serves_when_its_asterisk_is_new_enough(
    archive: Archive, tmp_path: Path
) -> None:
    _asterisk_packages(archive, "noble", "1:20.6.0")
    archive.publish("noble", "old")
    cache = tmp_path / "cache"
    machine = _machine(archive, "old", codename="noble")
    prefix = portable.ensure_prefix(lambda _: None, cache=cache, suite="forky", machine=machine)
    assert prefix.suite == "noble"
    assert prefix.packages["asterisk"] == "1:20.6.0"
    assert "sox" not in prefix.packages, "a suite without it still serves"
    found = portable.find_asterisk(named="", cache=cache)
    assert found is not None
    assert (found.kind, found.version, found.prefix) == ("portable", "20.6.0", prefix.path)
    assert (found.sounds_dir / "en/hello.gsm").is_file(), "the language is named"
    assert (prefix.path / "usr/share/asterisk/there").resolve() == found.sounds_dir
    assert not list((cache / "prefix").glob(".new-*"))


@needs_apt
def test_a_newer_suite_with_a_newer_key_is_reached_over_the_keyring_package(
    archive: Archive, tmp_path: Path
) -> None:
    both = archive.keys.keyring(tmp_path / "both.gpg", "old", "new")
    archive.package(
        "bookworm",
        "debian-archive-keyring",
        "2025.1",
        {"usr/share/keyrings/debian-archive-keyring.gpg": both},
    )
    archive.publish("bookworm", "old")
    _asterisk_packages(archive, "forky", "1:22.1.0")
    archive.publish("forky", "new")
    told: list[str] = []
    prefix = portable.ensure_prefix(
        told.append, cache=tmp_path / "cache", machine=_machine(archive, "old")
    )
    assert prefix.suite == "forky"
    assert any("newer key" in line for line in told)


@needs_apt
def test_a_suite_nobody_vouches_for_is_refused(archive: Archive, tmp_path: Path) -> None:
    only_old = archive.keys.keyring(tmp_path / "old.gpg", "old")
    archive.package(
        "bookworm",
        "debian-archive-keyring",
        "2023.3",
        {"usr/share/keyrings/debian-archive-keyring.gpg": only_old},
    )
    archive.publish("bookworm", "old")
    _asterisk_packages(archive, "forky", "1:22.1.0")
    archive.publish("forky", "new")
    with pytest.raises(AsteriskNotFound) as caught:
        portable.ensure_prefix(
            lambda _: None, cache=tmp_path / "cache", machine=_machine(archive, "old")
        )
    assert isinstance(caught.value.__cause__, UntrustedRelease)
    assert list((tmp_path / "cache/prefix").iterdir()) == [], "nothing half-done is left"


@needs_apt
def test_a_changed_package_is_refused(archive: Archive, tmp_path: Path) -> None:
    _asterisk_packages(archive, "forky", "1:22.1.0")
    archive.publish("forky", "old")
    deb = archive.root / "pool/forky/asterisk-modules_all.deb"
    deb.write_bytes(deb.read_bytes()[:-1] + b"!")
    with pytest.raises(AsteriskNotFound, match="failed"):
        portable.ensure_prefix(
            lambda _: None,
            cache=tmp_path / "cache",
            suite="forky",
            machine=_machine(archive, "old"),
        )


def test_a_machine_without_a_mirror_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AsteriskNotFound, match="DIALER_ASTERISK"):
        portable.ensure_prefix(lambda _: None, cache=tmp_path, machine=Machine(DEBIAN, []))


# --- interruption and concurrency ----------------------------------------------------------

TOOL = Recipe("tool", required=("tool",))


@needs_apt
def test_two_set_ups_at_once_make_one_prefix(archive: Archive, tmp_path: Path) -> None:
    archive.package("forky", "tool", "1", {"usr/bin/tool": "x"})
    archive.publish("forky", "old")
    machine = _machine(archive, "old")
    opened: list[Path] = []
    made: list[apt_prefix.Prefix] = []
    inside = threading.Event()

    def choose(folder: Path) -> tuple[PrivateApt, str]:
        opened.append(folder)
        inside.set()
        return apt_prefix.open_suite(
            folder, machine.sources, machine.release, "forky", lambda _: None
        ), "forky"

    def run() -> None:
        made.append(apt_prefix.install(tmp_path / "cache", TOOL, choose, lambda _: None))

    first = threading.Thread(target=run)
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=run)
    second.start()
    first.join(60)
    second.join(60)
    assert len(opened) == 1
    assert len(made) == 2
    assert made[0] == made[1]
    assert made[0].program("tool") is not None


@needs_apt
def test_an_interrupted_set_up_leaves_nothing_and_the_next_one_succeeds(
    archive: Archive, tmp_path: Path
) -> None:
    archive.package("forky", "tool", "1", {"usr/bin/tool": "x"})
    archive.publish("forky", "old")
    machine = _machine(archive, "old")
    cache = tmp_path / "cache"

    def interrupted(_: Path) -> tuple[PrivateApt, str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apt_prefix.install(cache, TOOL, interrupted, lambda _: None)
    assert list((cache / "prefix").iterdir()) == []
    # What a kill leaves behind: half a tree in a temporary folder.
    half = cache / "prefix/.new-tool-killed/root/usr/bin"
    half.mkdir(parents=True)
    (half / "tool").touch()
    assert apt_prefix.unpacked(cache, TOOL) is None

    def choose(folder: Path) -> tuple[PrivateApt, str]:
        return apt_prefix.open_suite(
            folder, machine.sources, machine.release, "forky", lambda _: None
        ), "forky"

    made = apt_prefix.install(cache, TOOL, choose, lambda _: None)
    assert [path.name for path in (cache / "prefix").iterdir()] == [made.path.name]


@needs_apt
def test_a_missing_required_package_is_named(archive: Archive, tmp_path: Path) -> None:
    archive.publish("forky", "old")
    machine = _machine(archive, "old")

    def choose(folder: Path) -> tuple[PrivateApt, str]:
        return apt_prefix.open_suite(
            folder, machine.sources, machine.release, "forky", lambda _: None
        ), "forky"

    with pytest.raises(AptError, match="does not offer tool"):
        apt_prefix.install(tmp_path / "cache", TOOL, choose, lambda _: None)


# --- the real thing ------------------------------------------------------------------------


def test_the_real_asterisk_is_20_or_newer_and_has_what_calls_need() -> None:
    binary = portable.ensure_asterisk()
    assert binary.major >= portable.OLDEST_VERSION
    for module in ("chan_pjsip.so", "res_agi.so", "app_originate.so"):
        assert (binary.module_dir / module).is_file()
    assert (binary.sounds_dir / "en/digits/1.gsm").is_file()
    again = portable.find_asterisk()
    assert again == binary


def test_the_real_sipp_starts() -> None:
    done = subprocess.run(
        [*portable.ensure_tool("sipp"), "-v"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "SIPp v" in done.stdout
