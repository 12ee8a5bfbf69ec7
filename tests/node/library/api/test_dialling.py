"""What a program may ask for is counted in bytes, as what goes over the wire is."""

import pytest

from peerstream.node.library.api.dialling import DialRequest, ListenRequest
from peerstream.node.library.api.errors import BadRequestError


@pytest.mark.parametrize("service", ["x" * 65, "é" * 33, "\udcff" * 22, b"web", None])
def test_a_service_that_no_stream_may_name_is_wrong_use(service):
    with pytest.raises(BadRequestError):
        DialRequest(target="alice.psp.alt", service=service)
    with pytest.raises(BadRequestError):
        ListenRequest(service=service)


@pytest.mark.parametrize("service", ["x" * 64, "é" * 32])
def test_a_service_of_64_bytes_may_be_named(service):
    assert DialRequest(target="alice.psp.alt", service=service).service == service
