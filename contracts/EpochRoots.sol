// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The last four (epoch, root) pairs of a set whose changes act two epochs later
/// @dev A change in epoch e writes the root of e + 2. Roots of e - 1, e and e + 1 are asked for; between them and
/// e + 2 there are at most four distinct entries, so four places never forget one that is still needed.
/// Storage: slot 0 holds head u64 | epochs u48 * 4 (place 0 lowest), slots 1 to 4 the roots by place.
library EpochRoots {
    uint256 private constant PLACES = 4;
    uint256 private constant EPOCH_BITS = 48;
    uint256 private constant EPOCH_MASK = type(uint48).max;
    uint256 private constant HEAD_SHIFT = PLACES * EPOCH_BITS;

    /// @dev What a contract keeps; its first slot is slot 0 of the registry.
    struct Ring {
        uint256 packed;
        bytes32[4] roots;
    }

    /// @notice The epoch began before the oldest root that is kept.
    error EpochRootsForgotten(uint256 epoch);

    /// @dev Starts the ring with a root that is in force from epoch 0.
    function initialize(Ring storage ring, bytes32 root) internal {
        ring.roots[0] = root;
    }

    function newest(Ring storage ring) internal view returns (bytes32) {
        return ring.roots[ring.packed >> HEAD_SHIFT];
    }

    /// @dev Sets the root from `epoch` on; `epoch` never goes down.
    function set(Ring storage ring, uint256 epoch, bytes32 root) internal {
        uint256 packed = ring.packed;
        uint256 head = packed >> HEAD_SHIFT;
        if (_epochAt(packed, head) != epoch) {
            head = (head + 1) % PLACES;
            uint256 shift = head * EPOCH_BITS;
            packed = (packed & ~(EPOCH_MASK << shift)) | (epoch << shift);
            ring.packed = (packed & ((1 << HEAD_SHIFT) - 1)) | (head << HEAD_SHIFT);
        }
        ring.roots[head] = root;
    }

    /// @dev The root in force at `epoch`: the newest entry that is not after it. Place 0 comes before those that were
    /// never written, and is in force from epoch 0 until they all are.
    function rootAt(Ring storage ring, uint256 epoch) internal view returns (bytes32) {
        uint256 packed = ring.packed;
        uint256 place = packed >> HEAD_SHIFT;
        for (uint256 i = 0; i < PLACES; ++i) {
            if (_epochAt(packed, place) <= epoch) return ring.roots[place];
            place = (place + PLACES - 1) % PLACES;
        }
        revert EpochRootsForgotten(epoch);
    }

    function _epochAt(uint256 packed, uint256 place) private pure returns (uint256) {
        return (packed >> (place * EPOCH_BITS)) & EPOCH_MASK;
    }
}
