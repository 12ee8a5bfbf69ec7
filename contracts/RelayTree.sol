// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @dev Levels of the tree: room for 4 096 relays.
uint256 constant TREE_DEPTH = 12;

/// @title A positional keccak tree of which only the root is stored
/// @dev parent = keccak256(left || right), an empty leaf is zero. The caller brings the siblings, bottom up; the
/// slot is part of what they prove.
library RelayTree {
    uint256 private constant CAPACITY = 1 << TREE_DEPTH;

    /// @notice The siblings and the leaf do not lead to the present root: another change came first. Read the
    /// registry again and send new siblings.
    error RelayTreeStaleProof();
    /// @notice The slot is not one of the tree's.
    error RelayTreeBadSlot(uint256 slot);

    function emptyRoot() internal pure returns (bytes32 root) {
        for (uint256 height = 0; height < TREE_DEPTH; ++height) {
            root = Hashes.efficientKeccak256(root, root);
        }
    }

    /// @dev Proves `current` at `slot` under `root` and returns the root with `next` in its place.
    function replace(bytes32 root, uint256 slot, bytes32 current, bytes32 next, bytes32[TREE_DEPTH] calldata siblings)
        internal
        pure
        returns (bytes32)
    {
        if (slot >= CAPACITY) revert RelayTreeBadSlot(slot);
        for (uint256 height = 0; height < TREE_DEPTH; ++height) {
            bytes32 sibling = siblings[height];
            if ((slot >> height) & 1 == 0) {
                current = Hashes.efficientKeccak256(current, sibling);
                next = Hashes.efficientKeccak256(next, sibling);
            } else {
                current = Hashes.efficientKeccak256(sibling, current);
                next = Hashes.efficientKeccak256(sibling, next);
            }
        }
        if (current != root) revert RelayTreeStaleProof();
        return next;
    }
}
