"""`python -m fuzz.run NAME`: run one target, under atheris or with random changes."""

import importlib
import sys

from fuzz import chain, directory, gateway, identity, network, onion, services, session, store, wire
from fuzz.target import Target, changed

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (
        wire,
        onion,
        session,
        directory,
        identity,
        network,
        chain,
        services,
        gateway,
        store,
    )
    for target in module.TARGETS
}


def _guided(target: Target, arguments: list[str]) -> None:
    try:
        atheris = importlib.import_module("atheris")
    except ModuleNotFoundError:
        sys.exit("atheris is not installed: pip install atheris, or use --random COUNT")
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *arguments], target.run)
    atheris.Fuzz()


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] == "--list" or arguments[0] not in TARGETS:
        sys.exit("\n".join(["a target, then what libFuzzer takes, or --random COUNT:", *TARGETS]))
    target, rest = TARGETS[arguments[0]], arguments[1:]
    if rest[:1] == ["--random"]:
        for number, data in enumerate(changed(target, int(rest[1]))):
            try:
                target.run(data)
            except BaseException:
                print(f"input {number} of {target.name}: {data.hex()}")
                raise
    else:
        _guided(target, rest)


if __name__ == "__main__":
    main(sys.argv[1:])
