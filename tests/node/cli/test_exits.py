"""The table of exit codes names classes that exist, and the nearest one decides."""

import importlib
import inspect
import pkgutil

import pytest

import peerstream.node
from peerstream.node.chain.errors import EndpointClosedError
from peerstream.node.cli import errors as cli_errors
from peerstream.node.cli.exits import _CODE_OF, Exit, exit_code
from peerstream.node.lab.errors import NotRunningError
from peerstream.node.network.errors import ListenError
from peerstream.node.ports import UnreachableError
from peerstream.node.protocol.wire.status import Status
from peerstream.node.roles.errors import (
    CallDeniedError,
    CallFailedError,
    DescriptorUnavailableError,
    DirectoryUnavailableError,
)
from peerstream.node.services.files.errors import RefusedError
from peerstream.node.services.files.wire import FileStatus
from peerstream.node.store.errors import WrongPassphraseError


def _known_names():
    packages = [peerstream.identity, peerstream.node]
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith((".errors", ".ports", ".identities")):
                for _, found in inspect.getmembers(importlib.import_module(module.name)):
                    if inspect.isclass(found):
                        yield found.__name__


def test_every_name_in_the_table_is_a_class():
    known = set(_known_names()) | {"CycloptsError", "TooSlowError"}
    known |= {"FileNotFoundError", "PermissionError"}
    assert set(_CODE_OF) <= known


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotRunningError(), Exit.NOT_FOUND),
        (DescriptorUnavailableError(()), Exit.NOT_FOUND),
        (CallDeniedError(Status.DENIED), Exit.DENIED),
        (WrongPassphraseError(), Exit.DENIED),
        (CallFailedError(), Exit.NETWORK),
        (DirectoryUnavailableError(), Exit.NETWORK),
        (UnreachableError(), Exit.NETWORK),
        (ListenError(), Exit.NETWORK),
        (EndpointClosedError(), Exit.NETWORK),
        (RefusedError(FileStatus.DECLINED), Exit.FAILED),
        (ValueError(), Exit.FAILED),
    ],
)
def test_codes_by_the_nearest_class(error, code):
    assert exit_code(error) is code


def test_every_error_of_the_command_line_says_what_to_do():
    found = [e for _, e in inspect.getmembers(cli_errors, inspect.isclass)]
    assert len(found) > 8
    assert all(len(error.__doc__ or "") > 25 for error in found)
