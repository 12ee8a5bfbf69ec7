// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bip340} from "../Bip340.sol";
import {INetworkAnchor} from "../INetworkAnchor.sol";
import {SigAuth} from "../SigAuth.sol";

/// @title What the contracts compute inside, for the vectors that Python and TypeScript share with them
/// @dev For tests only.
contract VectorProbe is SigAuth {
    /// @notice What a wallet signs over an identity key, off the chain.
    struct Delegation {
        string statement;
        address account;
        bytes32 identityKey;
        uint64 issued;
        uint64 notBefore;
        uint64 notAfter;
        uint32 scope;
        string label;
    }

    INetworkAnchor private immutable ANCHOR;

    constructor(INetworkAnchor anchor) {
        ANCHOR = anchor;
    }

    /// @notice The EIP-712 digest of a struct.
    function digest(bytes32 structHash) external view returns (bytes32) {
        return _digest(structHash);
    }

    /// @notice The EIP-712 digest of a delegation.
    function delegationDigest(Delegation calldata made) external view returns (bytes32) {
        bytes32 kind = keccak256(
            "Delegation(string statement,address account,bytes32 identityKey,uint64 issued,uint64 notBefore,uint64 notAfter,uint32 scope,string label)"
        );
        return _digest(
            keccak256(
                abi.encode(
                    kind,
                    keccak256(bytes(made.statement)),
                    made.account,
                    made.identityKey,
                    made.issued,
                    made.notBefore,
                    made.notAfter,
                    made.scope,
                    keccak256(bytes(made.label))
                )
            )
        );
    }

    /// @notice Whether a BIP-340 signature verifies.
    function verifies(bytes32 key, bytes32 message, Bip340.Signature calldata signature) external pure returns (bool) {
        return Bip340.verify(key, message, signature);
    }

    /// @inheritdoc SigAuth
    function networkId() public view override returns (bytes32) {
        return ANCHOR.networkId();
    }
}
