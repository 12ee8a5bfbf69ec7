"""The distribution can be built and used: sdist, wheel from the sdist, wheel in an empty venv.

The wheel of the sdist must equal the wheel of the working tree byte for byte, and hold every file
of the two packages that git tracks.
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTS = """
import importlib.metadata, pathlib, sys, peerstream
assert pathlib.Path(peerstream.__file__).is_relative_to(sys.prefix), peerstream.__file__
assert importlib.metadata.version("peerstream") == peerstream.__version__
"""
# The whole of it, with the dependencies of the development environment behind it.
MODULES = """
import importlib, pathlib, pkgutil, site, sys, warnings
site.addsitedir(sys.argv[1])
warnings.simplefilter("ignore", DeprecationWarning)
import peerstream
assert pathlib.Path(peerstream.__file__).is_relative_to(sys.prefix), peerstream.__file__
for module in pkgutil.walk_packages(peerstream.__path__, "peerstream."):
    # Two kinds are run and not imported: programs, and the environment that alembic runs.
    if not module.name.endswith((".__main__", ".migrations.env")):
        importlib.import_module(module.name)
"""


def run(*command: str, cwd: Path = ROOT) -> str:
    """Run a command that must succeed and return what it prints."""
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    done = subprocess.run(command, cwd=cwd, text=True, stdout=pipe, stderr=both, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}failed in {cwd}: {' '.join(command[:3])}")
    return done.stdout


def build(source: Path, target: Path, kind: str) -> Path:
    """Build one distribution of `source` and return its path."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target), cwd=source)
    (built,) = target.iterdir()
    return built


def same_contents(one: Path, other: Path) -> bool:
    """Tell whether two wheels hold the same files with the same bytes."""
    with zipfile.ZipFile(one) as left, zipfile.ZipFile(other) as right:
        names = left.namelist()
        return names == right.namelist() and all(left.read(n) == right.read(n) for n in names)


def missing(wheel: Path) -> set[str]:
    """Return the tracked files of the packages that the wheel does not hold."""
    wanted = set(run("git", "ls-files", "identity", "node").splitlines())
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in wanted if f"peerstream/{name}" not in archive.namelist()}


def use(wheel: Path, place: Path) -> None:
    """Install the wheel in a new venv and import it there, alone and whole."""
    venv.create(place, with_pip=False)
    python = str(place / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "--python", python)
    run(*pip, "install", "--no-index", "--no-deps", str(wheel))
    run(python, "-I", "-W", "error", "-c", IMPORTS, cwd=place)
    run(python, "-I", "-c", MODULES, str(Path(sys.prefix) / "lib" / _LIBRARY), cwd=place)


_LIBRARY = f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def main() -> int:
    """Build and use everything; the status is whether something was wrong."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        archive = build(ROOT, place / "sdist", "sdist")
        wheel = build(ROOT, place / "wheel", "wheel")
        run("tar", "-xf", str(archive), "-C", str(place))
        again = build(place / archive.name.removesuffix(".tar.gz"), place / "again", "wheel")
        if not same_contents(wheel, again):
            print("the wheel of the sdist is another than that of the tree", file=sys.stderr)
            return 1
        if lacking := missing(wheel):
            print(f"the wheel lacks {', '.join(sorted(lacking))}", file=sys.stderr)
            return 1
        use(wheel, place / "venv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
