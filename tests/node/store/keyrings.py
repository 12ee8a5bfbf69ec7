"""A keyring in memory, where the desktop's would be: the real library asks it as any other."""

import keyring
import keyring.backend
import keyring.errors


class MemoryKeyring(keyring.backend.KeyringBackend):
    """What it holds is `held`; a forgetful one takes and does not keep."""

    priority = 0

    def __init__(self, *, forgetful=False, locked=False):
        self.held = {}
        self.forgetful = forgetful
        self.locked = locked

    def get_password(self, service, username):
        self._require_open()
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self._require_open()
        if not self.forgetful:
            self.held[service, username] = password

    def delete_password(self, service, username):
        self._require_open()
        if self.held.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("no such entry")

    def _require_open(self):
        if self.locked:
            raise keyring.errors.KeyringLocked("a prompt was dismissed: hunter2")


def install(monkeypatch, backend=None, *, module="keyring.backends.SecretService"):
    """Make it the library's; `module` is where its class says it comes from."""
    backend = backend or MemoryKeyring()
    monkeypatch.setattr(type(backend), "__module__", module)
    monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
    return backend
