// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EpochRoots} from "./EpochRoots.sol";
import {INetworkAnchor} from "./INetworkAnchor.sol";
import {IRelayRegistry} from "./IRelayRegistry.sol";
import {RelayTree, TREE_DEPTH} from "./RelayTree.sol";

/// @title Epochs: the root of the relay set in each, and the seed of each
/// @dev First in the inheritance, so that the roots stand in storage slots 0 to 4, where light clients prove them.
abstract contract RelayRoots is IRelayRegistry {
    using EpochRoots for EpochRoots.Ring;
    using SafeCast for uint256;

    /// @inheritdoc INetworkAnchor
    uint64 public immutable override EPOCH_S;

    /// @notice Epochs between a change and its effect.
    uint256 public constant ACTIVATION_EPOCHS = 2;

    EpochRoots.Ring private _roots;
    mapping(uint256 epoch => bytes32) private _seeds;

    constructor(uint64 epochS) {
        if (epochS == 0) revert RelayRegistryBadParameter();
        EPOCH_S = epochS;
        _roots.initialize(RelayTree.emptyRoot());
    }

    /// @notice Records the seed of an epoch: prevrandao of the first block that is not before the epoch's start.
    /// @dev Nobody who changes the relay set has a say in it. Anybody may prove it while the chain still knows the
    /// two blocks: 256 of them, 8 191 where EIP-2935 is in force.
    /// @param epoch_ The epoch.
    /// @param header RLP of that first block's header.
    /// @param parent RLP of the header before it, whose time is before the epoch's start.
    function proveSeed(uint256 epoch_, bytes calldata header, bytes calldata parent) external {
        uint256 start = epoch_ * EPOCH_S;
        Memory.Slice[] memory first = BlockHeader.parseHeader(header);
        bool proven = BlockHeader.verifyBlockHeader(first, keccak256(header))
            && BlockHeader.getParentHash(first) == keccak256(parent) && start <= BlockHeader.getTimestamp(first)
            && BlockHeader.getTimestamp(parent) < start;
        if (!proven) revert RelayRegistryBadSeedProof(epoch_);
        bytes32 seed = BlockHeader.getPrevRandao(first);
        _seeds[epoch_] = seed;
        emit EpochSeedProven(epoch_, seed);
    }

    /// @notice The root of the relay set in an epoch: final from the start of the epoch before it.
    /// @param epoch_ An epoch from the last to the next one; older ones as long as they are remembered.
    function rootFor(uint256 epoch_) external view returns (bytes32) {
        if (epoch_ >= epoch() + ACTIVATION_EPOCHS) revert RelayRegistryNotFinal(epoch_);
        return _roots.rootAt(epoch_);
    }

    /// @notice The root after all changes so far, which siblings must lead to.
    function latestRoot() external view returns (bytes32) {
        return _roots.newest();
    }

    /// @notice The seed of an epoch; zero until somebody proves it.
    /// @param epoch_ The epoch.
    function seedFor(uint256 epoch_) external view returns (bytes32) {
        return _seeds[epoch_];
    }

    /// @notice The epoch of this block.
    function epoch() public view returns (uint256) {
        return block.timestamp / EPOCH_S;
    }

    /// @dev Puts `leaf` where `oldLeaf` stands, with effect from `actsFrom`.
    function _replace(
        uint256 slot,
        bytes32 oldLeaf,
        bytes32 leaf,
        bytes32[TREE_DEPTH] calldata siblings,
        uint64 actsFrom
    ) internal {
        _roots.set(actsFrom, RelayTree.replace(_roots.newest(), slot, oldLeaf, leaf, siblings));
    }

    /// @dev The first epoch in which a change of this block acts.
    function _actsFrom() internal view returns (uint64) {
        return (epoch() + ACTIVATION_EPOCHS).toUint64();
    }
}
