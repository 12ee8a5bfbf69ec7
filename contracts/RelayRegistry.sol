// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {EpochRoots} from "./EpochRoots.sol";
import {INetworkAnchor} from "./INetworkAnchor.sol";
import {NetworkId} from "./NetworkId.sol";
import {RelayTree, TREE_DEPTH} from "./RelayTree.sol";
import {SigAuth} from "./SigAuth.sol";

/// @title Who is a relay
/// @notice Holds one Merkle root of the relay set for each epoch. A change acts two epochs later, so that all readers
/// of an epoch read the same 32 bytes, at any block of it. The set itself is rebuilt from the events, or taken from
/// anybody, and checked against the root.
/// @dev Immutable and without an owner: a change of the rules is a new contract and so a new network. A relay is
/// named by (operator, relayId): claiming somebody's relayId is pointless, because readers drop entries
/// whose proof of possession by that Ed25519 key fails.
contract RelayRegistry is INetworkAnchor, SigAuth {
    using EpochRoots for EpochRoots.Ring;
    using SafeCast for uint256;

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
    /// @param possession Ed25519 signature by relayId over label, network id, operator and relayId; 64 bytes.
    struct Registration {
        bytes32 relayId;
        address signKey;
        bytes32 family;
        uint64 toEpoch;
        bytes possession;
    }

    /// @notice A claim of a relay about its descriptor of an epoch, signed by its signKey as EIP-712.
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

    /// @notice Length of an epoch in seconds; epoch = block.timestamp / EPOCH_S.
    uint64 public immutable EPOCH_S;
    /// @notice Epochs for which a registration holds at most: renewing it is the relay's heartbeat.
    uint64 public immutable TERM_EPOCHS;
    /// @notice Seconds between exit and withdrawal, in which the stake can still be slashed.
    uint64 public immutable UNBONDING_S;
    /// @notice The least stake in wei.
    uint96 public immutable MINIMUM_STAKE;
    /// @notice Hash of the network's parameters: whoever holds the network file can check that it is the one.
    bytes32 public immutable NETWORK_HASH;
    /// @notice Hash of the chain's first block, as the deployer states it and every reader checks.
    bytes32 public immutable GENESIS_HASH;

    /// @notice Epochs between a change and its effect.
    uint256 public constant ACTIVATION_EPOCHS = 2;
    /// @notice What a reporter gets of a slashed stake is one part in so many; the rest stays locked for ever.
    uint256 public constant REWARD_DIVISOR = 20;

    bytes32 private constant STATEMENT_TYPEHASH =
        keccak256("RelayStatement(bytes32 relayId,uint64 epoch,uint64 seq,bytes32 hash)");
    uint64 private constant SLASHED = type(uint64).max;
    uint256 private constant POSSESSION_SIZE = 64;

    // Slots 0 to 4, so that a light client can prove them: the layout is part of the specification.
    EpochRoots.Ring private _roots;
    mapping(bytes32 name => Stake) private _stakes;
    mapping(bytes32 name => mapping(address signKey => bool)) private _signKeys;
    mapping(address reporter => uint256) private _rewards;

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
    /// @notice The operator asked for the stake back.
    event RelayExited(address indexed operator, bytes32 indexed relayId, uint64 unlockAt);
    /// @notice The stake was paid back.
    event StakeWithdrawn(address indexed operator, bytes32 indexed relayId, uint256 amount);
    /// @notice The relay signed two different statements for one epoch and sequence number.
    event RelaySlashed(
        address indexed operator,
        bytes32 indexed relayId,
        address indexed reporter,
        uint256 amount,
        uint256 reward
    );
    /// @notice A reporter took the rewards.
    event RewardWithdrawn(address indexed reporter, uint256 amount);

    /// @notice A parameter of the network cannot be zero.
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
    /// @notice The two statements do not contradict each other, or a key that was never the relay's signed them.
    error RelayRegistryNoEquivocation();
    /// @notice There is nothing to withdraw yet.
    error RelayRegistryLocked(uint64 unlockAt);
    /// @notice The root of that epoch can still change.
    error RelayRegistryNotFinal(uint256 epoch);
    /// @notice The receiver refused the payment.
    error RelayRegistryPaymentFailed();

    /// @param epochS Length of an epoch in seconds.
    /// @param termEpochs Longest term of a registration.
    /// @param unbondingS Seconds from exit to withdrawal.
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
    ) {
        if (epochS == 0 || termEpochs == 0 || minimumStake == 0) revert RelayRegistryBadParameter();
        EPOCH_S = epochS;
        TERM_EPOCHS = termEpochs;
        UNBONDING_S = unbondingS;
        MINIMUM_STAKE = minimumStake;
        NETWORK_HASH = networkHash;
        GENESIS_HASH = genesisHash;
        _roots.initialize(RelayTree.emptyRoot());
    }

    /// @notice Registers a relay of the sender with the sent stake, at an empty slot of the tree.
    /// @param slot The empty slot.
    /// @param siblings Its 12 siblings, bottom up.
    function register(
        Registration calldata request,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) external payable {
        bytes32 name = _name(msg.sender, request.relayId);
        Stake storage stake = _stakes[name];
        if (stake.unlockAt == SLASHED) revert RelayRegistrySlashed(msg.sender, request.relayId);
        if (stake.amount != 0) revert RelayRegistryAlreadyRegistered(msg.sender, request.relayId);
        uint96 amount = msg.value.toUint96();
        if (amount < MINIMUM_STAKE) revert RelayRegistryStakeTooLow(amount, MINIMUM_STAKE);
        stake.amount = amount;
        _set(request, bytes32(0), amount, _actsFrom(), slot, siblings);
    }

    /// @notice Renews a relay of the sender, changes its keys or family, and adds the sent value to its stake.
    /// @param current The entry that now stands at the slot.
    function renew(
        Registration calldata request,
        Entry calldata current,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) external payable {
        if (request.relayId != current.relayId) revert RelayRegistryNotRegistered(msg.sender, request.relayId);
        Stake storage stake = _registered(msg.sender, request.relayId);
        bytes32 leaf = _leaf(msg.sender, current, stake.amount);
        uint96 amount = (stake.amount + msg.value).toUint96();
        if (msg.value != 0) stake.amount = amount;
        uint64 actsFrom = _actsFrom();
        // An entry that has not lapsed keeps its age.
        uint64 fromEpoch = current.toEpoch + 1 >= actsFrom ? current.fromEpoch : actsFrom;
        _set(request, leaf, amount, fromEpoch, slot, siblings);
    }

    /// @notice Takes a relay of the sender out of the set and starts the unbonding of its stake.
    function exit(Entry calldata current, uint256 slot, bytes32[TREE_DEPTH] calldata siblings) external {
        Stake storage stake = _registered(msg.sender, current.relayId);
        uint64 unlockAt = (block.timestamp + UNBONDING_S).toUint64();
        stake.unlockAt = unlockAt;
        _remove(msg.sender, current, stake.amount, slot, siblings);
        emit RelayExited(msg.sender, current.relayId, unlockAt);
    }

    /// @notice Pays the stake of a relay that left back to its operator, the sender.
    function withdraw(bytes32 relayId) external {
        bytes32 name = _name(msg.sender, relayId);
        Stake memory stake = _stakes[name];
        if (stake.amount == 0) revert RelayRegistryNotRegistered(msg.sender, relayId);
        if (stake.unlockAt == 0 || block.timestamp < stake.unlockAt) revert RelayRegistryLocked(stake.unlockAt);
        delete _stakes[name];
        emit StakeWithdrawn(msg.sender, relayId, stake.amount);
        _pay(msg.sender, stake.amount);
    }

    /// @notice Clears away an entry that expired a whole term ago or whose relay was slashed; anybody may.
    /// @param operator Operator of the entry.
    /// @param amount The stake that its leaf names.
    function clear(
        address operator,
        Entry calldata current,
        uint96 amount,
        uint256 slot,
        bytes32[TREE_DEPTH] calldata siblings
    ) external {
        Stake storage stake = _stakes[_name(operator, current.relayId)];
        if (stake.unlockAt != SLASHED) {
            if (uint256(current.toEpoch) + TERM_EPOCHS >= epoch()) {
                revert RelayRegistryStillCounts(operator, current.relayId);
            }
            stake.unlockAt = (block.timestamp + UNBONDING_S).toUint64();
            emit RelayExited(operator, current.relayId, stake.unlockAt);
        }
        _remove(operator, current, amount, slot, siblings);
    }

    /// @notice Takes the stake of a relay that signed two different statements for one epoch and sequence number.
    /// @dev Needs no siblings, so that the relay cannot get in the way with changes of its own; `clear` follows.
    /// @param operator Operator under whom the relay is registered.
    /// @param first One statement.
    /// @param firstSignature Signature of a key that is or was the relay's signKey.
    /// @param secondHash Hash in the other statement, which is equal in all else.
    /// @param secondSignature Signature over the other statement by the same key.
    function slash(
        address operator,
        Statement calldata first,
        bytes calldata firstSignature,
        bytes32 secondHash,
        bytes calldata secondSignature
    ) external {
        bytes32 name = _name(operator, first.relayId);
        Stake storage stake = _stakes[name];
        uint256 amount = stake.amount;
        if (amount == 0) revert RelayRegistryNotRegistered(operator, first.relayId);
        address signer = ECDSA.recoverCalldata(_statementDigest(first, first.hash), firstSignature);
        address other = ECDSA.recoverCalldata(_statementDigest(first, secondHash), secondSignature);
        if (first.hash == secondHash || signer != other || !_signKeys[name][signer]) {
            revert RelayRegistryNoEquivocation();
        }
        uint256 reward = amount / REWARD_DIVISOR;
        stake.amount = 0;
        stake.unlockAt = SLASHED;
        _rewards[msg.sender] += reward;
        emit RelaySlashed(operator, first.relayId, msg.sender, amount, reward);
    }

    /// @notice Pays the sender what slashing earned.
    function withdrawReward() external {
        uint256 amount = _rewards[msg.sender];
        if (amount == 0) revert RelayRegistryLocked(0);
        _rewards[msg.sender] = 0;
        emit RewardWithdrawn(msg.sender, amount);
        _pay(msg.sender, amount);
    }

    /// @notice The root of the relay set in an epoch: final from the start of the epoch before it.
    function rootFor(uint256 epoch_) external view returns (bytes32) {
        if (epoch_ >= epoch() + ACTIVATION_EPOCHS) revert RelayRegistryNotFinal(epoch_);
        return _roots.rootAt(epoch_);
    }

    /// @notice The root after all changes so far, which siblings must lead to.
    function latestRoot() external view returns (bytes32) {
        return _roots.newest();
    }

    /// @notice The stake of a relay.
    function stakeOf(address operator, bytes32 relayId) external view returns (Stake memory) {
        return _stakes[_name(operator, relayId)];
    }

    /// @notice Whether a key is or was a relay's signKey: its signatures can slash the relay.
    function isSignKey(address operator, bytes32 relayId, address signKey) external view returns (bool) {
        return _signKeys[_name(operator, relayId)][signKey];
    }

    /// @notice What slashing earned a reporter and was not yet taken.
    function rewardOf(address reporter) external view returns (uint256) {
        return _rewards[reporter];
    }

    /// @notice The digest that a relay's signKey signs.
    function statementDigest(Statement calldata statement) external view returns (bytes32) {
        return _statementDigest(statement, statement.hash);
    }

    /// @notice The epoch of this block.
    function epoch() public view returns (uint256) {
        return block.timestamp / EPOCH_S;
    }

    /// @inheritdoc INetworkAnchor
    function networkId() public view override(INetworkAnchor, SigAuth) returns (bytes32) {
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
        _signKeys[_name(msg.sender, request.relayId)][request.signKey] = true;
        Entry memory entry = Entry(request.relayId, request.signKey, request.family, fromEpoch, request.toEpoch);
        _replace(slot, oldLeaf, _leaf(msg.sender, entry, amount), siblings, actsFrom);
        emit RelaySet(msg.sender, entry.relayId, slot, entry, amount, actsFrom, request.possession);
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

    function _replace(
        uint256 slot,
        bytes32 oldLeaf,
        bytes32 leaf,
        bytes32[TREE_DEPTH] calldata siblings,
        uint64 actsFrom
    ) private {
        bytes32 root = RelayTree.replace(_roots.newest(), slot, oldLeaf, leaf, siblings);
        _roots.set(actsFrom, root);
    }

    // The sender is registered with this relay: staked, not leaving, not slashed.
    function _registered(address operator, bytes32 relayId) private view returns (Stake storage stake) {
        stake = _stakes[_name(operator, relayId)];
        if (stake.unlockAt == SLASHED) revert RelayRegistrySlashed(operator, relayId);
        if (stake.amount == 0 || stake.unlockAt != 0) revert RelayRegistryNotRegistered(operator, relayId);
    }

    function _actsFrom() private view returns (uint64) {
        return (epoch() + ACTIVATION_EPOCHS).toUint64();
    }

    function _statementDigest(Statement calldata statement, bytes32 hash) private view returns (bytes32) {
        return
            _digest(
                keccak256(
                    abi.encode(STATEMENT_TYPEHASH, statement.relayId, statement.epoch, statement.seq, hash)
                )
            );
    }

    function _leaf(address operator, Entry memory entry, uint96 amount) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    operator,
                    entry.relayId,
                    entry.signKey,
                    entry.family,
                    amount,
                    entry.fromEpoch,
                    entry.toEpoch
                )
            );
    }

    function _name(address operator, bytes32 relayId) private pure returns (bytes32) {
        return keccak256(abi.encode(operator, relayId));
    }

    function _pay(address receiver, uint256 amount) private {
        (bool paid, ) = receiver.call{value: amount}("");
        if (!paid) revert RelayRegistryPaymentFailed();
    }
}
