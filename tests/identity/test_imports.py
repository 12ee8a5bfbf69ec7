"""What importing the package costs and what its labels promise."""

import subprocess
import sys

import pytest

from peerstream.identity import errors, labels
from tests.identity.samples import fixed

HEAVY = {"trio", "libp2p", "web3", "eth_account", "eth_abi", "pydantic", "requests"}


def loaded_after(code):
    command = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, check=True, text=True
    )
    return set(done.stdout.split())


def test_the_whole_package_imports_without_a_network_or_a_wallet():
    loaded = loaded_after(
        "import pkgutil, importlib, peerstream.identity as identity\n"
        "for module in pkgutil.walk_packages(identity.__path__, 'peerstream.identity.'):\n"
        "    if module.name.split('.')[2] not in ('login', 'web'):\n"
        "        importlib.import_module(module.name)"
    )
    assert "peerstream.identity.descriptor.sealing" in loaded
    assert not HEAVY & loaded


def test_verifying_needs_no_wallet_library_and_signing_does():
    setup = "from peerstream.identity import LocalSigner\n"
    assert "eth_account" not in loaded_after(f"{setup}LocalSigner({fixed('x')!r})")


def every_label():
    return [value for name, value in vars(labels).items() if name.isupper()]


def test_labels_are_distinct_prefix_free_and_versioned():
    all_labels = every_label()
    assert len(set(all_labels)) == len(all_labels)
    for label in all_labels:
        assert label.startswith(b"psp/")
        assert label.rsplit(b"/", 1)[1].isdigit()
        assert not any(other != label and other.startswith(label) for other in all_labels)


@pytest.mark.parametrize(
    "error", [e for e in vars(errors).values() if isinstance(e, type)], ids=lambda e: e.__name__
)
def test_every_error_says_why_and_what_to_do(error):
    assert issubclass(error, errors.IdentityError)
    assert len(error.__doc__) > 60
