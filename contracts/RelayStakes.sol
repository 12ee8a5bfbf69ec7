// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {INetworkAnchor} from "./INetworkAnchor.sol";
import {IRelayRegistry} from "./IRelayRegistry.sol";
import {RelayRoots} from "./RelayRoots.sol";
import {SigAuth} from "./SigAuth.sol";

/// @title What stands behind a relay, and how it is lost
/// @notice A stake is lost only for what a signature proves: two different statements of one relay for one epoch and
/// sequence number. A twentieth goes to the reporter, the rest stays locked for ever, so that reporting
/// oneself gains nothing.
/// @dev Payments are pulled, last, and only to the sender.
abstract contract RelayStakes is RelayRoots, SigAuth {
    /// @notice Seconds from the moment a relay that left no longer counts to the withdrawal of its stake.
    uint64 public immutable UNBONDING_S;
    /// @notice The least stake in wei.
    uint96 public immutable MINIMUM_STAKE;
    /// @notice Statements count as evidence for so many epochs after theirs: as long as the stake would be held if the
    /// relay had left in it. Older ones do not, so that a signing key that was given up is worthless some day.
    uint256 public immutable EVIDENCE_EPOCHS;
    /// @notice What a reporter gets of a slashed stake is one part in so many.
    uint256 public constant REWARD_DIVISOR = 20;

    uint64 internal constant SLASHED = type(uint64).max;
    uint64 private constant UNBONDING_MAXIMUM_S = 366 days;
    uint64 private constant IN_USE = type(uint64).max;
    bytes32 private constant STATEMENT_TYPEHASH =
        keccak256("RelayStatement(bytes32 relayId,uint64 epoch,uint64 seq,bytes32 hash)");

    mapping(bytes32 name => Stake) internal _stakes;
    mapping(bytes32 name => mapping(address signKey => uint64 untilEpoch)) private _signKeys;
    mapping(address reporter => uint256) private _rewards;

    constructor(uint64 unbondingS, uint96 minimumStake) {
        if (unbondingS == 0 || unbondingS > UNBONDING_MAXIMUM_S || minimumStake == 0) {
            revert RelayRegistryBadParameter();
        }
        UNBONDING_S = unbondingS;
        MINIMUM_STAKE = minimumStake;
        EVIDENCE_EPOCHS = ACTIVATION_EPOCHS + Math.ceilDiv(unbondingS, EPOCH_S);
    }

    /// @notice Pays the stake of a relay that left back to its operator, the sender.
    /// @param relayId The relay.
    function withdraw(bytes32 relayId) external {
        bytes32 name = _name(msg.sender, relayId);
        Stake memory stake = _stakes[name];
        if (stake.amount == 0) revert RelayRegistryNotRegistered(msg.sender, relayId);
        if (stake.unlockAt == 0 || block.timestamp < stake.unlockAt) revert RelayRegistryLocked(stake.unlockAt);
        delete _stakes[name];
        emit StakeWithdrawn(msg.sender, relayId, stake.amount);
        _paySender(stake.amount);
    }

    /// @notice Takes the stake of a relay that signed two different statements for one epoch and sequence number.
    /// @dev Needs no siblings, so that the relay cannot get in the way with changes of its own; `clear` follows.
    /// @param operator Operator under whom the relay is registered.
    /// @param first One statement.
    /// @param firstSignature Signature of a key that was the relay's signKey for that epoch.
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
        _requireRecent(first.epoch);
        address signer = ECDSA.recoverCalldata(_statementDigest(first, first.hash), firstSignature);
        address other = ECDSA.recoverCalldata(_statementDigest(first, secondHash), secondSignature);
        if (first.hash == secondHash || signer != other || first.epoch >= _signKeys[name][signer]) {
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
        if (amount == 0) revert RelayRegistryNoReward(msg.sender);
        _rewards[msg.sender] = 0;
        emit RewardWithdrawn(msg.sender, amount);
        _paySender(amount);
    }

    /// @notice The stake of a relay.
    /// @param operator Its operator.
    /// @param relayId The relay.
    function stakeOf(address operator, bytes32 relayId) external view returns (Stake memory) {
        return _stakes[_name(operator, relayId)];
    }

    /// @notice The first epoch whose statements a key no longer makes for a relay: 0 for a key that was never its
    /// signKey, the highest number for the one in use.
    /// @param operator The relay's operator.
    /// @param relayId The relay.
    /// @param signKey The key.
    function signKeyUntil(address operator, bytes32 relayId, address signKey) external view returns (uint64) {
        return _signKeys[_name(operator, relayId)][signKey];
    }

    /// @notice What slashing earned a reporter and was not yet taken.
    /// @param reporter Who reported.
    function rewardOf(address reporter) external view returns (uint256) {
        return _rewards[reporter];
    }

    /// @notice The digest that a relay's signKey signs.
    /// @param statement What it says.
    function statementDigest(Statement calldata statement) external view returns (bytes32) {
        return _statementDigest(statement, statement.hash);
    }

    /// @inheritdoc INetworkAnchor
    function networkId() public view virtual override(INetworkAnchor, SigAuth) returns (bytes32);

    /// @dev Starts the unbonding of a relay that no longer counts from `actsFrom` on.
    function _unbond(address operator, Entry calldata entry, uint64 actsFrom) internal {
        bytes32 name = _name(operator, entry.relayId);
        uint64 unlockAt = actsFrom * EPOCH_S + UNBONDING_S;
        _stakes[name].unlockAt = unlockAt;
        _signKeys[name][entry.signKey] = actsFrom;
        emit RelayExited(operator, entry.relayId, unlockAt);
    }

    /// @dev Makes `next` the signing key of a relay; `current`, if it is another one, makes its last statements for the
    /// epoch before `actsFrom`.
    function _setSignKey(bytes32 name, address current, address next, uint64 actsFrom) internal {
        if (current == next) return;
        if (current != address(0)) _signKeys[name][current] = actsFrom;
        _signKeys[name][next] = IN_USE;
    }

    /// @dev The stake of a relay that is registered: not leaving, not slashed.
    function _registered(address operator, bytes32 relayId) internal view returns (Stake storage stake) {
        stake = _stakes[_name(operator, relayId)];
        if (stake.unlockAt == SLASHED) revert RelayRegistrySlashed(operator, relayId);
        if (stake.amount == 0 || stake.unlockAt != 0) revert RelayRegistryNotRegistered(operator, relayId);
    }

    function _requireRecent(uint64 statementEpoch) private view {
        uint256 oldest = Math.saturatingSub(epoch(), EVIDENCE_EPOCHS);
        if (statementEpoch < oldest) revert RelayRegistryEvidenceTooOld(statementEpoch, oldest);
    }

    function _statementDigest(Statement calldata statement, bytes32 hash) private view returns (bytes32) {
        return
            _digest(keccak256(abi.encode(STATEMENT_TYPEHASH, statement.relayId, statement.epoch, statement.seq, hash)));
    }

    function _paySender(uint256 amount) private {
        (bool paid,) = msg.sender.call{value: amount}("");
        if (!paid) revert RelayRegistryPaymentFailed();
    }

    function _name(address operator, bytes32 relayId) internal pure returns (bytes32) {
        return keccak256(abi.encode(operator, relayId));
    }
}
