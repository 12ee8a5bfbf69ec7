// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title One signature rule for every kind of account, under the network's EIP-712 domain
/// @notice The domain is {name "PeerStream", version "1", salt network id}. It names neither a chain nor a
/// contract, because wallets refuse a chain id that is not their active one; the network id covers both.
/// @dev ERC-1271 where the account has code; ECDSA where it has none, or where its code is an EIP-7702
/// designator. A contract's former key never counts; a designated account's own key does, since that
/// key can change the designator at any time.
abstract contract SigAuth {
    bytes32 private constant DOMAIN_TYPEHASH = keccak256("EIP712Domain(string name,string version,bytes32 salt)");
    bytes32 private constant NAME_HASH = keccak256("PeerStream");
    bytes32 private constant VERSION_HASH = keccak256("1");
    bytes3 private constant DESIGNATOR = 0xef0100;
    uint256 private constant DESIGNATOR_SIZE = 23;

    /// @notice The signature was given after its deadline.
    error SigAuthExpired(uint256 deadline);
    /// @notice Neither the account's contract nor its key made this signature.
    error SigAuthInvalidSignature(address account);

    /// @notice The 32 bytes that tie every signature to one network: chain, relay registry and genesis.
    function networkId() public view virtual returns (bytes32);

    /// @notice The EIP-712 domain separator, recomputed at each call so that it follows a fork of the chain.
    function domainSeparator() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, networkId()));
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(domainSeparator(), structHash);
    }

    function _requireSigned(address account, bytes32 structHash, uint256 deadline, bytes calldata signature)
        internal
        view
    {
        if (block.timestamp > deadline) revert SigAuthExpired(deadline);
        if (!_isSigned(account, _digest(structHash), signature)) revert SigAuthInvalidSignature(account);
    }

    function _isSigned(address account, bytes32 digest, bytes calldata signature) private view returns (bool) {
        uint256 size = account.code.length;
        if (size != 0) {
            if (SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature)) return true;
            if (size != DESIGNATOR_SIZE || bytes3(account.code) != DESIGNATOR) return false;
        }
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && signer == account;
    }
}
