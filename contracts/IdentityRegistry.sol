// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {NoncesKeyed} from "@openzeppelin/contracts/utils/NoncesKeyed.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {INetworkAnchor} from "./INetworkAnchor.sol";
import {SigAuth} from "./SigAuth.sol";

/// @title Which identity key speaks for an account, and what of its past does not count any more
/// @notice Nobody needs an entry here to be reached: a delegation signed off chain is enough. An entry lists the
/// account, so that whoever knows the address finds it; a revocation ends everything issued up to its time.
/// @dev Immutable and without an owner. Each change can be sent by the account itself, or by anybody with the
/// account's signature, which then bears a keyed nonce and a deadline and names this contract.
contract IdentityRegistry is SigAuth, NoncesKeyed {
    using SafeCast for uint256;

    /// @notice What is known of an account.
    /// @param identityKey x of the secp256k1 identity key; zero: not listed.
    /// @param issued Time from which the key counts, as if a delegation had been signed then.
    /// @param revokedBefore Whatever was issued up to this time is void.
    struct Identity {
        bytes32 identityKey;
        uint64 issued;
        uint64 revokedBefore;
    }

    /// @notice Signed request to list an identity key.
    struct SetIdentity {
        address account;
        bytes32 identityKey;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice Signed request to void what was issued up to a time.
    struct RevokeBefore {
        address account;
        uint64 time;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice Signed request to void one device for ever.
    struct RevokeDevice {
        address account;
        bytes32 deviceKey;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice The contract that anchors the network.
    INetworkAnchor public immutable ANCHOR;

    bytes32 private constant SET_IDENTITY_TYPEHASH =
        keccak256("SetIdentity(address registry,address account,bytes32 identityKey,uint256 nonce,uint256 deadline)");
    bytes32 private constant REVOKE_BEFORE_TYPEHASH =
        keccak256("RevokeBefore(address registry,address account,uint64 time,uint256 nonce,uint256 deadline)");
    bytes32 private constant REVOKE_DEVICE_TYPEHASH =
        keccak256("RevokeDevice(address registry,address account,bytes32 deviceKey,uint256 nonce,uint256 deadline)");

    mapping(address account => Identity) private _identities;
    mapping(address account => mapping(bytes32 deviceKey => bool)) private _deviceRevoked;

    /// @notice The account listed an identity key, or none with zero.
    event IdentitySet(address indexed account, bytes32 identityKey, uint64 issued);
    /// @notice The account voided what it issued up to `revokedBefore`.
    event IdentityRevoked(address indexed account, uint64 revokedBefore);
    /// @notice The account voided a device.
    event DeviceRevoked(address indexed account, bytes32 deviceKey);

    /// @notice The time of a revocation is after this block or not after the last revocation.
    error IdentityRegistryBadRevocation(uint64 time, uint64 revokedBefore);
    /// @notice The device is revoked already.
    error IdentityRegistryDeviceRevoked(bytes32 deviceKey);
    /// @notice The anchor is no contract.
    error IdentityRegistryBadAnchor(address anchor);

    /// @param anchor The network's relay registry.
    constructor(INetworkAnchor anchor) {
        if (address(anchor).code.length == 0) revert IdentityRegistryBadAnchor(address(anchor));
        ANCHOR = anchor;
    }

    /// @notice Lists an identity key for the sender; zero takes the sender off the list.
    /// @param identityKey x of the secp256k1 identity key.
    function setIdentity(bytes32 identityKey) external {
        _setIdentity(msg.sender, identityKey);
    }

    /// @notice Lists an identity key for an account that signed the request.
    /// @param request What the account asks for.
    /// @param signature The account's, as `SigAuth` takes it.
    function setIdentityFor(SetIdentity calldata request, bytes calldata signature) external {
        _authorise(
            request.account,
            keccak256(
                abi.encode(
                    SET_IDENTITY_TYPEHASH,
                    address(this),
                    request.account,
                    request.identityKey,
                    request.nonce,
                    request.deadline
                )
            ),
            request.nonce,
            request.deadline,
            signature
        );
        _setIdentity(request.account, request.identityKey);
    }

    /// @notice Voids what the sender issued up to a time, which is not in the future and only goes up.
    /// @param time Unix seconds.
    function revokeBefore(uint64 time) external {
        _revokeBefore(msg.sender, time);
    }

    /// @notice Voids what an account that signed the request issued up to a time.
    /// @param request What the account asks for.
    /// @param signature The account's, as `SigAuth` takes it.
    function revokeBeforeFor(RevokeBefore calldata request, bytes calldata signature) external {
        _authorise(
            request.account,
            keccak256(
                abi.encode(
                    REVOKE_BEFORE_TYPEHASH,
                    address(this),
                    request.account,
                    request.time,
                    request.nonce,
                    request.deadline
                )
            ),
            request.nonce,
            request.deadline,
            signature
        );
        _revokeBefore(request.account, request.time);
    }

    /// @notice Voids a device of the sender for ever.
    /// @param deviceKey Its Ed25519 signing key.
    function revokeDevice(bytes32 deviceKey) external {
        _revokeDevice(msg.sender, deviceKey);
    }

    /// @notice Voids a device of an account that signed the request.
    /// @param request What the account asks for.
    /// @param signature The account's, as `SigAuth` takes it.
    function revokeDeviceFor(RevokeDevice calldata request, bytes calldata signature) external {
        _authorise(
            request.account,
            keccak256(
                abi.encode(
                    REVOKE_DEVICE_TYPEHASH,
                    address(this),
                    request.account,
                    request.deviceKey,
                    request.nonce,
                    request.deadline
                )
            ),
            request.nonce,
            request.deadline,
            signature
        );
        _revokeDevice(request.account, request.deviceKey);
    }

    /// @notice Uses up the sender's next nonce of a key, so that a request signed with it is void.
    /// @param key Nonces of different keys are used in any order, those of one key in theirs.
    /// @return The nonce that was used up.
    function cancelNonce(uint192 key) external returns (uint256) {
        return _useNonce(msg.sender, key);
    }

    /// @notice What is known of an account.
    /// @param account The account.
    function identityOf(address account) external view returns (Identity memory) {
        return _identities[account];
    }

    /// @notice Whether an account voided what it issued at a time: a delegation, or the key that it lists.
    /// @param account The account.
    /// @param issued The time that the delegation names, in unix seconds.
    function isRevoked(address account, uint64 issued) external view returns (bool) {
        return issued <= _identities[account].revokedBefore;
    }

    /// @notice Whether an account voided a device.
    /// @param account The account.
    /// @param deviceKey Its Ed25519 signing key.
    function isDeviceRevoked(address account, bytes32 deviceKey) external view returns (bool) {
        return _deviceRevoked[account][deviceKey];
    }

    /// @inheritdoc SigAuth
    function networkId() public view override returns (bytes32) {
        return ANCHOR.networkId();
    }

    function _authorise(address account, bytes32 structHash, uint256 nonce, uint256 deadline, bytes calldata signature)
        private
    {
        _useCheckedNonce(account, nonce);
        _requireSigned(account, structHash, deadline, signature);
    }

    function _setIdentity(address account, bytes32 identityKey) private {
        Identity storage identity = _identities[account];
        // A key that is set in the second of a revocation is newer than what was revoked.
        uint256 afterRevocation = uint256(identity.revokedBefore) + 1;
        uint64 issued = (block.timestamp < afterRevocation ? afterRevocation : block.timestamp).toUint64();
        identity.identityKey = identityKey;
        identity.issued = issued;
        emit IdentitySet(account, identityKey, issued);
    }

    function _revokeBefore(address account, uint64 time) private {
        Identity storage identity = _identities[account];
        if (time > block.timestamp || time <= identity.revokedBefore) {
            revert IdentityRegistryBadRevocation(time, identity.revokedBefore);
        }
        identity.revokedBefore = time;
        emit IdentityRevoked(account, time);
    }

    function _revokeDevice(address account, bytes32 deviceKey) private {
        if (_deviceRevoked[account][deviceKey]) revert IdentityRegistryDeviceRevoked(deviceKey);
        _deviceRevoked[account][deviceKey] = true;
        emit DeviceRevoked(account, deviceKey);
    }
}
