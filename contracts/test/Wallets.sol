// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A wallet of several owners, as Safe has it: so many signatures, in the order of the signers' addresses
/// @dev For tests only.
contract MultiOwnerWallet is IERC1271 {
    uint256 private constant SIGNATURE_SIZE = 65;

    /// @notice Signatures that are needed.
    uint256 public immutable THRESHOLD;
    /// @notice Whether an address is an owner.
    mapping(address owner => bool) public isOwner;

    /// @notice Only the wallet itself or an owner may do this.
    error NotOwner(address sender);

    constructor(address[] memory owners, uint256 threshold) {
        THRESHOLD = threshold;
        for (uint256 i = 0; i < owners.length; ++i) {
            isOwner[owners[i]] = true;
        }
    }

    /// @notice Replaces an owner, who can sign no more.
    function replaceOwner(address old, address next) external {
        if (!isOwner[msg.sender]) revert NotOwner(msg.sender);
        isOwner[old] = false;
        isOwner[next] = true;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != THRESHOLD * SIGNATURE_SIZE) return 0xffffffff;
        address last = address(0);
        for (uint256 i = 0; i < THRESHOLD; ++i) {
            (address signer, ECDSA.RecoverError failure,) =
                ECDSA.tryRecover(hash, signature[i * SIGNATURE_SIZE:(i + 1) * SIGNATURE_SIZE]);
            if (failure != ECDSA.RecoverError.NoError || signer <= last || !isOwner[signer]) return 0xffffffff;
            last = signer;
        }
        return IERC1271.isValidSignature.selector;
    }
}

/// @title Deploys such wallets at addresses that are known before: what ERC-6492 signatures name
/// @dev For tests only.
contract WalletFactory {
    /// @notice Deploys a wallet, or returns the one that is there.
    function create(address[] calldata owners, uint256 threshold, bytes32 salt) external returns (address wallet) {
        wallet = addressOf(owners, threshold, salt);
        if (wallet.code.length == 0) new MultiOwnerWallet{salt: salt}(owners, threshold);
    }

    /// @notice Where a wallet is or will be.
    function addressOf(address[] calldata owners, uint256 threshold, bytes32 salt) public view returns (address) {
        bytes memory creation = abi.encodePacked(type(MultiOwnerWallet).creationCode, abi.encode(owners, threshold));
        bytes32 digest = keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, keccak256(creation)));
        return address(uint160(uint256(digest)));
    }
}

/// @title What an EIP-7702 account points at: code that runs calls and knows no ERC-1271
/// @dev For tests only.
contract PlainDelegate {
    /// @notice Only the account itself may do this.
    error NotSelf(address sender);
    /// @notice The call failed.
    error CallFailed();

    /// @notice Calls a contract as the account.
    function execute(address target, bytes calldata data) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        (bool done,) = target.call(data);
        if (!done) revert CallFailed();
    }
}

/// @title The same with ERC-1271: a session key signs for the account
/// @dev For tests only. The key stands in the account's own storage.
contract SessionDelegate is PlainDelegate, IERC1271 {
    /// @notice The key that signs for the account.
    address public sessionKey;

    /// @notice Sets the key.
    function setSessionKey(address key) external {
        if (msg.sender != address(this)) revert NotSelf(msg.sender);
        sessionKey = key;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecover(hash, signature);
        bool valid = failure == ECDSA.RecoverError.NoError && signer == sessionKey;
        return valid ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
