// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INetworkAnchor} from "./INetworkAnchor.sol";
import {NetworkId} from "./NetworkId.sol";
import {RelayRoots} from "./RelayRoots.sol";
import {RelayStakes} from "./RelayStakes.sol";
import {TREE_DEPTH} from "./RelayTree.sol";

/// @title Who is a relay
/// @notice Holds one Merkle root of the relay set for each epoch. A change acts two epochs later, so that all readers
/// of an epoch read the same 32 bytes, at any block of it. The set itself is rebuilt from the events, or taken from
/// anybody, and checked against the root.
/// @dev Immutable and without an owner: a change of the rules is a new contract and so a new network. A relay is
/// named by (operator, relayId): claiming somebody's relayId is pointless, because readers drop entries
/// whose proof of possession by that Ed25519 key fails.
contract RelayRegistry is RelayStakes {
    using SafeCast for uint256;

    /// @notice Epochs for which a registration holds at most: renewing it is the relay's heartbeat.
    uint64 public immutable TERM_EPOCHS;
    /// @notice Hash of the network's parameters: whoever holds the network file can check that it is the one.
    bytes32 public immutable NETWORK_HASH;
    /// @notice Hash of the chain's first block, as the deployer states it and every reader checks.
    bytes32 public immutable GENESIS_HASH;

    uint256 private constant POSSESSION_SIZE = 64;

    /// @param epochS Length of an epoch in seconds.
    /// @param termEpochs Longest term of a registration.
    /// @param unbondingS Seconds from a relay's last epoch to the withdrawal of its stake, at most 366 days.
    /// @param minimumStake Least stake in wei.
    /// @param networkHash Hash of the network's parameters.
    /// @param genesisHash Hash of the chain's first block.
    constructor(
        uint64 epochS,
        uint64 termEpochs,
        uint64 unbondingS,
        uint96 minimumStake,
        bytes32 networkHash,
        bytes32 genesisHash
    ) RelayRoots(epochS) RelayStakes(unbondingS, minimumStake) {
        if (termEpochs == 0 || networkHash == 0 || genesisHash == 0) {
            revert RelayRegistryBadParameter();
        }
        TERM_EPOCHS = termEpochs;
        NETWORK_HASH = networkHash;
        GENESIS_HASH = genesisHash;
    }

    /// @notice Registers a relay of the sender with the sent stake, at an empty slot of the tree.
    /// @param request What the relay asks for.
    /// @param slot The empty slot.
    /// @param siblings Its 12 siblings, bottom up.
    function register(Registration calldata request, uint256 slot, bytes32[TREE_DEPTH] calldata siblings)
        external
        payable
    {
        bytes32 name = _name(msg.sender, request.relayId);
        Stake storage stake = _stakes[name];
        if (stake.unlockAt == SLASHED) revert RelayRegistrySlashed(msg.sender, request.relayId);
        if (stake.amount != 0) revert RelayRegistryAlreadyRegistered(msg.sender, request.relayId);
        uint96 amount = msg.value.toUint96();
        if (amount < MINIMUM_STAKE) revert RelayRegistryStakeTooLow(amount, MINIMUM_STAKE);
        stake.amount = amount;
        uint64 actsFrom = _actsFrom();
        _setSignKey(name, address(0), request.signKey, actsFrom);
        _set(request, bytes32(0), amount, actsFrom, slot, siblings);
    }

    /// @notice Renews a relay of the sender, changes its keys or family, and adds the sent value to its stake.
    /// @param request What the relay asks for.
    /// @param current The entry that now stands at the slot.
    /// @param slot The relay's slot.
    /// @param siblings Its 12 siblings, bottom up.
    function renew(
        Registration calldata request,
        Entry calldata current,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) external payable {
        if (request.relayId != current.relayId) {
            revert RelayRegistryNotRegistered(msg.sender, request.relayId);
        }
        Stake storage stake = _registered(msg.sender, request.relayId);
        bytes32 leaf = _leaf(msg.sender, current, stake.amount);
        uint256 sum = stake.amount + msg.value;
        uint96 amount = sum.toUint96();
        if (msg.value != 0) stake.amount = amount;
        uint64 actsFrom = _actsFrom();
        _setSignKey(_name(msg.sender, request.relayId), current.signKey, request.signKey, actsFrom);
        // An entry that has not lapsed keeps its age.
        uint64 fromEpoch = uint256(current.toEpoch) + 1 >= actsFrom ? current.fromEpoch : actsFrom;
        _set(request, leaf, amount, fromEpoch, slot, siblings);
    }

    /// @notice Takes a relay of the sender out of the set and starts the unbonding of its stake.
    /// @param current The entry that now stands at the slot.
    /// @param slot The relay's slot.
    /// @param siblings Its 12 siblings, bottom up.
    function exit(Entry calldata current, uint256 slot, bytes32[TREE_DEPTH] calldata siblings) external {
        Stake storage stake = _registered(msg.sender, current.relayId);
        _unbond(msg.sender, current, _actsFrom());
        _remove(msg.sender, current, stake.amount, slot, siblings);
    }

    /// @notice Clears away an entry that expired a whole term ago or whose relay was slashed; anybody may.
    /// @param operator Operator of the entry.
    /// @param current The entry that now stands at the slot.
    /// @param amount The stake that its leaf names.
    /// @param slot The relay's slot.
    /// @param siblings Its 12 siblings, bottom up.
    function clear(
        address operator,
        Entry calldata current,
        uint96 amount,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) external {
        if (_stakes[_name(operator, current.relayId)].unlockAt != SLASHED) {
            if (uint256(current.toEpoch) + TERM_EPOCHS >= epoch()) {
                revert RelayRegistryStillCounts(operator, current.relayId);
            }
            _unbond(operator, current, _actsFrom());
        }
        _remove(operator, current, amount, slot, siblings);
    }

    /// @inheritdoc INetworkAnchor
    function networkId() public view override returns (bytes32) {
        return NetworkId.compute(address(this), GENESIS_HASH);
    }

    function _set(
        Registration calldata request,
        bytes32 oldLeaf,
        uint96 amount,
        uint64 fromEpoch,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) private {
        uint64 actsFrom = _actsFrom();
        _check(request, actsFrom);
        Entry memory entry = Entry(request.relayId, request.signKey, request.family, fromEpoch, request.toEpoch);
        _replace(slot, oldLeaf, _leaf(msg.sender, entry, amount), siblings, actsFrom);
        emit RelaySet(msg.sender, entry.relayId, slot, entry, amount, actsFrom, request.possession);
    }

    function _remove(
        address operator,
        Entry calldata current,
        uint96 amount,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) private {
        uint64 actsFrom = _actsFrom();
        _replace(slot, _leaf(operator, current, amount), bytes32(0), siblings, actsFrom);
        emit RelayRemoved(operator, current.relayId, slot, actsFrom);
    }

    function _check(Registration calldata request, uint64 actsFrom) private view {
        if (request.relayId == 0 || request.possession.length != POSSESSION_SIZE) revert RelayRegistryBadPossession();
        if (request.signKey == address(0) || request.signKey == msg.sender) {
            revert RelayRegistryBadSignKey(request.signKey);
        }
        uint256 latest = uint256(actsFrom) + TERM_EPOCHS;
        if (request.toEpoch < actsFrom || request.toEpoch > latest) {
            revert RelayRegistryBadTerm(request.toEpoch, actsFrom, latest);
        }
    }

    function _leaf(address operator, Entry memory entry, uint96 amount) private pure returns (bytes32) {
        return keccak256(
            abi.encode(operator, entry.relayId, entry.signKey, entry.family, amount, entry.fromEpoch, entry.toEpoch)
        );
    }
}
