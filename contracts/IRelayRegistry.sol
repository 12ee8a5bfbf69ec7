// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {INetworkAnchor} from "./INetworkAnchor.sol";

/// @title Who is a relay: types, events and refusals of the registry
interface IRelayRegistry is INetworkAnchor {
    /// @notice What stands under the root for one relay, apart from its operator and its stake.
    /// @param relayId Ed25519 host key of the relay.
    /// @param signKey Ethereum address of the hot key that signs its statements.
    /// @param family Relays of one family are never together in a path; zero for none.
    /// @param fromEpoch First epoch in which it counts; renewals keep it, so that it is the relay's age.
    /// @param toEpoch Last epoch in which it counts.
    struct Entry {
        bytes32 relayId;
        address signKey;
        bytes32 family;
        uint64 fromEpoch;
        uint64 toEpoch;
    }

    /// @notice What a relay asks for.
    /// @param relayId Ed25519 host key of the relay.
    /// @param signKey Ethereum address of the hot key that signs its statements.
    /// @param family Relays of one family are never together in a path; zero for none.
    /// @param toEpoch Last epoch in which it is to count.
    /// @param possession Ed25519 signature by relayId over label, network id, operator and relayId; 64 bytes.
    struct Registration {
        bytes32 relayId;
        address signKey;
        bytes32 family;
        uint64 toEpoch;
        bytes possession;
    }

    /// @notice A claim of a relay about its descriptor of an epoch, signed by its signKey as EIP-712.
    /// @param relayId The relay.
    /// @param epoch The epoch that the descriptor is for.
    /// @param seq Its number among the descriptors of that epoch.
    /// @param hash Hash of the descriptor.
    struct Statement {
        bytes32 relayId;
        uint64 epoch;
        uint64 seq;
        bytes32 hash;
    }

    /// @notice The stake behind one (operator, relayId).
    /// @param amount Wei.
    /// @param unlockAt 0 while the relay is registered, the time of withdrawal after its exit, the highest number
    /// after it was slashed: that name can never register again.
    struct Stake {
        uint96 amount;
        uint64 unlockAt;
    }

    /// @notice A relay stands at a slot of the tree from `actsFrom` on.
    event RelaySet(
        address indexed operator,
        bytes32 indexed relayId,
        uint256 slot,
        Entry entry,
        uint96 stake,
        uint64 actsFrom,
        bytes possession
    );
    /// @notice The slot is empty from `actsFrom` on.
    event RelayRemoved(address indexed operator, bytes32 indexed relayId, uint256 slot, uint64 actsFrom);
    /// @notice The relay leaves; its stake can be withdrawn from `unlockAt` on.
    event RelayExited(address indexed operator, bytes32 indexed relayId, uint64 unlockAt);
    /// @notice The stake was paid back.
    event StakeWithdrawn(address indexed operator, bytes32 indexed relayId, uint256 amount);
    /// @notice The relay signed two different statements for one epoch and sequence number.
    event RelaySlashed(
        address indexed operator, bytes32 indexed relayId, address indexed reporter, uint256 amount, uint256 reward
    );
    /// @notice A reporter took the rewards.
    event RewardWithdrawn(address indexed reporter, uint256 amount);
    /// @notice The seed of an epoch was proven.
    event EpochSeedProven(uint256 indexed epoch, bytes32 seed);

    /// @notice A parameter of the network is zero or out of range.
    error RelayRegistryBadParameter();
    /// @notice The stake would be below the least one.
    error RelayRegistryStakeTooLow(uint256 stake, uint256 minimum);
    /// @notice This operator has already registered this relay, or has not yet withdrawn its stake.
    error RelayRegistryAlreadyRegistered(address operator, bytes32 relayId);
    /// @notice This operator has not registered this relay, or it has left.
    error RelayRegistryNotRegistered(address operator, bytes32 relayId);
    /// @notice The relay was slashed; that name is over.
    error RelayRegistrySlashed(address operator, bytes32 relayId);
    /// @notice The signing key is zero or the operator's own.
    error RelayRegistryBadSignKey(address signKey);
    /// @notice The relay id is zero or the proof of possession is not 64 bytes.
    error RelayRegistryBadPossession();
    /// @notice The last epoch is before the change acts, or too far ahead.
    error RelayRegistryBadTerm(uint64 toEpoch, uint256 earliest, uint256 latest);
    /// @notice The relay still counts: only those that expired a term ago or were slashed can be cleared away.
    error RelayRegistryStillCounts(address operator, bytes32 relayId);
    /// @notice The two statements do not contradict each other, or the key that signed them was not the relay's
    /// signKey for that epoch.
    error RelayRegistryNoEquivocation();
    /// @notice The statements are for an epoch before `oldest`, the last one that still counts as evidence.
    error RelayRegistryEvidenceTooOld(uint64 epoch, uint256 oldest);
    /// @notice The stake cannot be withdrawn yet: 0 for a relay that has not left.
    error RelayRegistryLocked(uint64 unlockAt);
    /// @notice The sender has no reward to take.
    error RelayRegistryNoReward(address reporter);
    /// @notice The root of that epoch can still change.
    error RelayRegistryNotFinal(uint256 epoch);
    /// @notice The headers do not prove the seed: not of this chain's last blocks, not parent and child, or the epoch
    /// does not begin between the two.
    error RelayRegistryBadSeedProof(uint256 epoch);
    /// @notice The receiver refused the payment.
    error RelayRegistryPaymentFailed();
}
