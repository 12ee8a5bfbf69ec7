import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerstream.node.protocol.errors import LocalProtocolError, MalformedError, VersionError
from peerstream.node.protocol.wire.version import VersionRange, negotiate

versions = st.tuples(st.integers(1, 6), st.integers(0, 3)).map(
    lambda pair: VersionRange(pair[0], pair[0] + pair[1])
)


@given(versions, versions)
def test_both_sides_come_to_the_same_highest_common_version(ours, theirs):
    common = set(range(ours.lowest, ours.highest + 1)) & set(
        range(theirs.lowest, theirs.highest + 1)
    )
    if common:
        assert negotiate(ours, theirs) == negotiate(theirs, ours) == max(common)
    else:
        with pytest.raises(VersionError):
            negotiate(ours, theirs)


def test_neighbouring_releases_understand_each_other():
    for release in range(2, 20):
        assert negotiate(VersionRange(release - 1, release), VersionRange(release, release + 1))
        with pytest.raises(VersionError):
            negotiate(VersionRange(release - 1, release), VersionRange(release + 1, release + 2))


@given(st.integers(-1, 0x1_0001), st.integers(-1, 0x1_0001))
def test_what_a_stranger_calls_a_range_may_be_none(lowest, highest):
    if not 1 <= lowest <= highest <= 0xFFFF:
        with pytest.raises(MalformedError):
            negotiate(VersionRange(1, 2), VersionRange(lowest, highest))
        with pytest.raises(LocalProtocolError):
            negotiate(VersionRange(lowest, highest), VersionRange(1, 2))
