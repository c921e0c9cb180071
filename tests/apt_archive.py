"""A small signed package archive on disk, for tests of what fetches packages."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path


class Keys:
    """Signing keys of an archive, each with a keyring that holds its public half."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700)

    def gpg(self, *arguments: str) -> bytes:
        done = subprocess.run(
            ["gpg", "--batch", "--yes", "--passphrase", "", *arguments],
            capture_output=True,
            check=True,
            env={**os.environ, "GNUPGHOME": str(self.home)},
            timeout=60,
        )
        return done.stdout

    def make(self, name: str) -> None:
        self.gpg("--quick-generate-key", f"{name} <{name}@example.invalid>", "rsa2048", "sign")

    def keyring(self, path: Path, *names: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.gpg("--export", *(f"{name}@example.invalid" for name in names)))
        return path

    def stop(self) -> None:
        subprocess.run(
            ["gpgconf", "--kill", "all"],
            check=False,
            timeout=30,
            env={**os.environ, "GNUPGHOME": str(self.home)},
        )


class Archive:
    """``pool/`` and ``dists/<suite>`` below one folder."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self.root = root
        self.keys = keys
        root.mkdir()

    @property
    def uri(self) -> str:
        return f"file:{self.root}"

    def package(
        self,
        suite: str,
        name: str,
        version: str,
        files: dict[str, str | Path],
        depends: str = "",
    ) -> None:
        """Build one package; a Path as content is a file to copy, text is an executable file."""
        tree = self.root / "build" / f"{suite}-{name}"
        for path, content in files.items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                target.write_bytes(content.read_bytes())
            elif content.startswith("-> "):
                target.symlink_to(content.removeprefix("-> "))
            else:
                target.write_text(content)
                target.chmod(0o755)
        (tree / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.invalid>\nDescription: test\n"
        ) + (f"Depends: {depends}\n" if depends else "")
        (tree / "DEBIAN/control").write_text(control)
        folder = self.root / "pool" / suite
        folder.mkdir(parents=True, exist_ok=True)
        deb = folder / f"{name}_all.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", str(tree), str(deb)],
            check=True,
            capture_output=True,
            timeout=60,
        )
        with (folder / "Packages").open("a") as index:
            index.write(
                f"{control}Filename: pool/{suite}/{deb.name}\nSize: {deb.stat().st_size}\n"
                f"SHA256: {hashlib.sha256(deb.read_bytes()).hexdigest()}\n\n"
            )

    def publish(self, suite: str, key: str) -> None:
        """Write and sign the Release file of a suite."""
        architecture = subprocess.run(
            ["dpkg", "--print-architecture"], check=True, text=True, capture_output=True, timeout=30
        ).stdout.strip()
        folder = self.root / "dists" / suite
        index = folder / f"main/binary-{architecture}/Packages"
        index.parent.mkdir(parents=True, exist_ok=True)
        source = self.root / "pool" / suite / "Packages"
        index.write_bytes(source.read_bytes() if source.exists() else b"")
        digest = hashlib.sha256(index.read_bytes()).hexdigest()
        release = folder / "Release"
        release.write_text(
            f"Origin: Test\nSuite: {suite}\nCodename: {suite}\nComponents: main\n"
            f"Architectures: {architecture} all\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
            f"SHA256:\n {digest} {index.stat().st_size} main/binary-{architecture}/Packages\n"
        )
        self.keys.gpg(
            "-u",
            f"{key}@example.invalid",
            "--clearsign",
            "-o",
            str(folder / "InRelease"),
            str(release),
        )
