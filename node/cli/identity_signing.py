"""Who signs a delegation, and how the question gets there (SPEC 13.4, 22.6, 22.7)."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from peerstream.identity.signer import LocalSigner, TypedData
from peerstream.node.cli.errors import BadArgumentError
from peerstream.node.cli.exits import Exit
from peerstream.node.cli.external_signer import ask_signer, parse_signer
from peerstream.node.cli.identity_report import SCHEMA, no_values, report_of
from peerstream.node.cli.options import StateOptions
from peerstream.node.cli.report import Report, console
from peerstream.node.cli.wallet_file import read_wallet_key
from peerstream.node.library.clock import SystemClock
from peerstream.node.library.identities import finish_identity
from peerstream.node.ports import Environment
from peerstream.node.roles.identity import LocalIdentity
from peerstream.node.store.files import write_whole
from peerstream.node.store.keystore import Keystore

_BROWSER: Final = "browser"
_EXTERNAL: Final = "external"


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class WalletOptions:
    """Who signs for the account."""

    wallet_key: Annotated[
        Path | None, Parameter(help="File with the account's key: hexadecimal, or V3 keystore.")
    ] = None
    sign_with: Annotated[
        str | None,
        Parameter(
            help="browser: the wallet in it, on a page of this machine. external: by hand, through"
            " a file. rpc:URL: a signer such as Clef, on this machine."
        ),
    ] = None
    out: Annotated[Path, Parameter(help="Where the typed data goes for an external wallet.")] = (
        Path("delegation.json")
    )

    def signer(self) -> LocalSigner | None:
        """Return the wallet of the key file, None for another one. Raises BadArgumentError."""
        if (self.wallet_key is None) == (self.sign_with is None):
            raise BadArgumentError("give either --wallet-key FILE or --sign-with browser|external")
        if self.wallet_key is not None:
            return LocalSigner(read_wallet_key(self.wallet_key))
        if self.sign_with not in {_BROWSER, _EXTERNAL}:
            parse_signer(self.sign_with or "")
        return None

    def have_signed(
        self,
        keystore: Keystore,
        typed: TypedData,
        signer: LocalSigner | None,
        state: StateOptions,
    ) -> Report:
        """Finish an identity, or leave that to a wallet that is asked by hand."""
        if signer is not None:
            return report_of(finish(keystore, signer.sign_typed_data(typed)), state)
        if self.sign_with == _EXTERNAL:
            return _ask_by_hand(typed, self.out, state)
        if self.sign_with == _BROWSER:
            return report_of(_ask_browser(keystore, typed), state)
        signature = ask_signer(parse_signer(self.sign_with or ""), typed)
        return report_of(finish(keystore, signature), state)


def finish(keystore: Keystore, signature: bytes) -> LocalIdentity:
    """Take a signature once it verifies; raises as `finish_identity`."""
    return finish_identity(keystore, signature, Environment(SystemClock(), os.urandom))


def _ask_browser(keystore: Keystore, typed: TypedData) -> LocalIdentity:
    import trio  # noqa: PLC0415 - with a web server, only for this

    from peerstream.node.cli.signals import until_interrupted  # noqa: PLC0415
    from peerstream.node.cli.wallet_page.serving import ask_browser  # noqa: PLC0415

    made: list[LocalIdentity] = []

    async def ask() -> None:
        await ask_browser(
            typed,
            lambda signature: made.append(finish(keystore, signature)),
            lambda url: _announce(url, typed),
            open_browser=_has_screen(),
        )

    if trio.run(until_interrupted, ask) == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    return made[0]


def _announce(url: str, typed: TypedData) -> None:
    account = typed["message"]["account"]
    console(stderr=True).print(
        f"Open this page in the browser with the wallet of {account}, within five minutes:\n"
        f"  {url}",
        soft_wrap=True,
    )


def _has_screen() -> bool:
    # Without one, Python would start a browser of text in this terminal.
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _ask_by_hand(typed: TypedData, out: Path, state: StateOptions) -> Report:
    write_whole(out, json.dumps(typed, indent=2).encode() + b"\n")
    account = typed["message"]["account"]
    values = {
        **no_values(state),
        "account": account,
        "identity_key": typed["message"]["identityKey"],
        "typed_data_file": str(out),
    }
    lines = (
        f"Let the wallet of {account} sign {out} (eth_signTypedData_v4),",
        "put the signature into a file, and run",
        f"  psp id import-signature FILE --state {state.directory}",
    )
    return Report(SCHEMA, values, lambda target: target.print("\n".join(lines), soft_wrap=True))
