"""Somebody at a browser: follows a URL, reads the page's request, and answers it over a socket."""

import json
import threading
import urllib.error
import urllib.request
from urllib.parse import urljoin

_PATIENCE_S = 60


class Visitor:
    """What `webbrowser.open` starts. wallets: sign one after the other; without any, declines."""

    def __init__(self, *wallets):
        self.wallets = wallets
        self.page = None
        self._answers = []
        self._error = None
        self._finished = threading.Event()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __call__(self, url):
        try:
            self.visit(url)
        except Exception as error:  # noqa: BLE001 - in a thread of its own; `answers` raises it
            self._error = error
        finally:
            self._finished.set()

    @property
    def answers(self):
        """The statuses of what was posted, once all of it was."""
        assert self._finished.wait(_PATIENCE_S)
        if self._error is not None:
            raise self._error
        return self._answers

    def visit(self, url):
        with self._opener.open(url, timeout=_PATIENCE_S) as answer:
            self.page = answer.url
        with self._opener.open(urljoin(self.page, "request"), timeout=_PATIENCE_S) as answer:
            typed = json.load(answer)["typed"]
        for wallet in self.wallets:
            self._post("signature", {"signature": "0x" + wallet.sign_typed_data(typed).hex()})
        if not self.wallets:
            self._post("decline", {})

    def _post(self, name, body):
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(
            urljoin(self.page, name), json.dumps(body).encode(), headers
        )
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                self._answers.append(answer.status)
        except urllib.error.HTTPError as error:
            self._answers.append(error.code)
            error.close()
