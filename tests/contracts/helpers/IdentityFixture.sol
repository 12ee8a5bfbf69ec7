// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IdentityRegistry} from "../../../contracts/IdentityRegistry.sol";
import {RelayRegistry} from "../../../contracts/RelayRegistry.sol";
import {TestBase} from "./Vm.sol";

/// An identity registry and a wallet that signs its requests: the digests are made here from EIP-712's text alone.
abstract contract IdentityFixture is TestBase {
    uint256 internal constant START = 1_750_000_000;
    uint256 internal constant FOREVER = type(uint256).max;
    bytes32 internal constant KEY = keccak256("identity key");
    bytes32 internal constant DEVICE = keccak256("device");

    IdentityRegistry internal identities;
    uint256 internal ownerKey = uint256(keccak256("owner")) >> 8;
    address internal owner;

    function deployIdentities() internal {
        vm.warp(START);
        identities = newIdentities(newAnchor());
        owner = vm.addr(ownerKey);
    }

    function newAnchor() internal returns (RelayRegistry) {
        return new RelayRegistry(6 hours, 60, 14 days, 1 ether, keccak256("network file"), keccak256("first block"));
    }

    function newIdentities(RelayRegistry anchor) internal returns (IdentityRegistry) {
        return new IdentityRegistry(anchor);
    }

    function digestOf(IdentityRegistry where, bytes32 structHash) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,bytes32 salt)"),
                keccak256("PeerStream"),
                keccak256("1"),
                where.networkId()
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function setDigest(IdentityRegistry where, IdentityRegistry.SetIdentity memory request)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256(
            "SetIdentity(address registry,address account,bytes32 identityKey,uint256 nonce,uint256 deadline)"
        );
        return digestOf(where, keccak256(abi.encode(kind, where, request)));
    }

    function revokeDigest(IdentityRegistry where, IdentityRegistry.RevokeBefore memory request)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind =
            keccak256("RevokeBefore(address registry,address account,uint64 time,uint256 nonce,uint256 deadline)");
        return digestOf(where, keccak256(abi.encode(kind, where, request)));
    }

    function deviceDigest(IdentityRegistry where, IdentityRegistry.RevokeDevice memory request)
        internal
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256(
            "RevokeDevice(address registry,address account,bytes32 deviceKey,uint256 nonce,uint256 deadline)"
        );
        return digestOf(where, keccak256(abi.encode(kind, where, request)));
    }

    function setRequest(address account, uint256 nonce) internal pure returns (IdentityRegistry.SetIdentity memory) {
        return IdentityRegistry.SetIdentity(account, KEY, nonce, FOREVER);
    }

    function keyed(uint192 key, uint64 nonce) internal pure returns (uint256) {
        return uint256(key) << 64 | nonce;
    }
}
