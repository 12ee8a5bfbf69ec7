"""Running Hardhat, forge, halmos and slither on the contracts.

``python -m tests.system.contracts.toolchain`` writes contracts/snapshots again, after a change of
the contracts that is meant.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "build"
HERE = Path(__file__).parent
SNAPSHOTS = ROOT / "contracts" / "snapshots"
LAYOUT = SNAPSHOTS / "storage-layout.json"
CONTRACTS = ("RelayRegistry", "IdentityRegistry", "RendezvousBoard")
PATIENCE_S = 900.0
_BESIDE = Path(sys.executable).parent
_AST_ID = re.compile(r"\)\d+")


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which node, npm packages and forge are found."""
    bins = (_BESIDE, ROOT / "node_modules" / ".bin")
    path = os.pathsep.join([*map(str, bins), os.environ["PATH"]])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FOUNDRY_", "DAPP_"))}
    return {**kept, "PATH": path, "NO_COLOR": "1", "FORCE_COLOR": "0", **more}


def run(
    *command: str | Path,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    statuses: tuple[int, ...] = (0,),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; show all that it said when its status is another."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode in statuses, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def forge(*arguments: str, profile: str = "default") -> subprocess.CompletedProcess[str]:
    """Run forge with a profile of foundry.toml."""
    return run("forge", *arguments, env=environment(FOUNDRY_PROFILE=profile))


def hardhat(
    *arguments: str, cwd: Path = ROOT, runs: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Hardhat; `runs` of each fuzz test and invariant, where not as many as usual."""
    more = {} if runs is None else {"SOLIDITY_RUNS": str(runs)}
    return run("hardhat", *arguments, cwd=cwd, env=environment(**more))


def stage(name: str, *parts: str) -> Path:
    """Copy parts of the project to build/, for tools that leave things where they run."""
    place = BUILD / name
    for part in ("package.json", "hardhat.config.js", "foundry.toml", "deploy/solc.mjs", *parts):
        source, target = ROOT / part, place / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    modules = place / "node_modules"
    if not modules.is_symlink():
        modules.symlink_to(ROOT / "node_modules")
    return place


def tool(name: str) -> Path:
    """Return a Python tool that wants other packages than ours, from its own environment."""
    lock = HERE / f"{name}.lock"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    place = BUILD / f"venv-{name}"
    stamp = place / ".installed-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(place, ignore_errors=True)
        run(sys.executable, "-m", "venv", place)
        pip = (place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "--no-deps", "-r", lock)
        stamp.write_text(wanted)
    return place / "bin" / name


def storage_layout() -> dict[str, list[dict[str, Any]]]:
    """Return where each contract keeps what, as solc says, without the numbers of its run."""
    return {name: _variables(_inspect(name)) for name in CONTRACTS}


def _inspect(name: str) -> Any:
    return json.loads(forge("inspect", name, "storageLayout", "--json").stdout)


def _variables(layout: Any) -> list[dict[str, Any]]:
    types = layout["types"]
    return [_variable(types, variable) for variable in layout["storage"]]


def _variable(types: Any, variable: Any) -> dict[str, Any]:
    kind = types[variable["type"]]
    found = {
        "name": variable["label"],
        "slot": int(variable["slot"]),
        "offset": variable["offset"],
        "bytes": int(kind["numberOfBytes"]),
        "type": _AST_ID.sub(")", kind["label"]),
    }
    held = types.get(kind.get("value", ""), kind)
    if "members" in held:
        found["members"] = [_variable(types, member) for member in held["members"]]
    return found


def encoded(layout: Mapping[str, Any]) -> str:
    """Return a layout as it stands in its file."""
    return json.dumps(layout, indent=1) + "\n"


if __name__ == "__main__":
    forge("test", profile="gas")
    LAYOUT.write_text(encoded(storage_layout()))
