// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {INetworkAnchor} from "../../contracts/INetworkAnchor.sol";
import {IdentityRegistry} from "../../contracts/IdentityRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {IdentityFixture} from "./helpers/IdentityFixture.sol";

/// What an account does for itself.
contract IdentityRegistryTest is IdentityFixture {
    function setUp() public {
        deployIdentities();
    }

    function revoke(uint64 time) internal {
        vm.prank(owner);
        identities.revokeBefore(time);
    }

    function refuseRevocation(uint64 time, uint64 before) internal {
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.IdentityRegistryBadRevocation.selector, time, before));
        identities.revokeBefore(time);
    }

    function test_anchorMustBeAContract() public {
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.IdentityRegistryBadAnchor.selector, address(0)));
        new IdentityRegistry(INetworkAnchor(address(0)));
        assertEq(identities.networkId(), identities.ANCHOR().networkId(), "the anchor's network");
    }

    function test_listAndRotateAndLeave() public {
        vm.expectEmit();
        emit IdentityRegistry.IdentitySet(owner, KEY, uint64(START));
        vm.prank(owner);
        identities.setIdentity(KEY);
        IdentityRegistry.Identity memory found = identities.identityOf(owner);
        assertEq(found.identityKey, KEY, "key");
        assertEq(found.issued, START, "issued");
        assertEq(found.revokedBefore, 0, "nothing revoked");
        vm.warp(START + 10);
        vm.prank(owner);
        identities.setIdentity("other");
        found = identities.identityOf(owner);
        assertEq(found.identityKey, "other", "rotated");
        assertEq(found.issued, START + 10, "issued later");
        vm.prank(owner);
        identities.setIdentity(0);
        assertEq(identities.identityOf(owner).identityKey, 0, "not listed any more");
    }

    function test_accountsAreIndependent() public {
        vm.prank(owner);
        identities.setIdentity(KEY);
        identities.setIdentity("mine");
        identities.revokeBefore(uint64(START));
        identities.revokeDevice(DEVICE);
        assertEq(identities.identityOf(owner).identityKey, KEY, "key");
        assertTrue(!identities.isRevoked(owner, uint64(START)), "not revoked");
        assertTrue(!identities.isDeviceRevoked(owner, DEVICE), "device not revoked");
    }

    function test_revocationIsNeverInTheFutureAndNeverGoesBack() public {
        refuseRevocation(uint64(START) + 1, 0);
        refuseRevocation(type(uint64).max, 0);
        refuseRevocation(0, 0);
        vm.expectEmit();
        emit IdentityRegistry.IdentityRevoked(owner, uint64(START) - 5);
        revoke(uint64(START) - 5);
        refuseRevocation(uint64(START) - 5, uint64(START) - 5);
        refuseRevocation(uint64(START) - 6, uint64(START) - 5);
        revoke(uint64(START));
        assertEq(identities.identityOf(owner).revokedBefore, START, "kept");
    }

    function testFuzz_revocationVoidsWhatWasIssuedUpToIt(uint64 issued, uint64 time) public {
        time = uint64(within(time, 1, START));
        revoke(time);
        assertTrue(identities.isRevoked(owner, issued) == (issued <= time), "up to it, and nothing after");
    }

    function test_aKeySetInTheSecondOfARevocationIsNewerThanWhatWasRevoked() public {
        vm.prank(owner);
        identities.setIdentity(KEY);
        revoke(uint64(START));
        assertTrue(identities.isRevoked(owner, identities.identityOf(owner).issued), "the old one is void");
        vm.prank(owner);
        identities.setIdentity("fresh");
        uint64 issued = identities.identityOf(owner).issued;
        assertEq(issued, START + 1, "one second later");
        assertTrue(!identities.isRevoked(owner, issued), "counts");
    }

    /// A stolen signature over issued = 2^64 - 1 cannot keep its owner from anything: times come from the chain.
    function test_noSignedTimeLocksTheOwnerOut() public {
        refuseRevocation(type(uint64).max, 0);
        vm.prank(owner);
        identities.setIdentity(KEY);
        revoke(uint64(START));
        vm.warp(START + 1);
        revoke(uint64(START) + 1);
        vm.prank(owner);
        identities.setIdentity("fresh");
        assertTrue(!identities.isRevoked(owner, identities.identityOf(owner).issued), "the owner goes on");
    }

    function test_aDeviceIsRevokedForEver() public {
        vm.expectEmit();
        emit IdentityRegistry.DeviceRevoked(owner, DEVICE);
        vm.prank(owner);
        identities.revokeDevice(DEVICE);
        assertTrue(identities.isDeviceRevoked(owner, DEVICE), "revoked");
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(IdentityRegistry.IdentityRegistryDeviceRevoked.selector, DEVICE));
        identities.revokeDevice(DEVICE);
        vm.prank(owner);
        identities.setIdentity("fresh");
        assertTrue(identities.isDeviceRevoked(owner, DEVICE), "still revoked");
    }

    function test_cancelledNoncesAreUsedUp() public {
        vm.startPrank(owner);
        assertEq(identities.cancelNonce(0), 0, "the first");
        assertEq(identities.cancelNonce(0), 1, "the second");
        assertEq(identities.cancelNonce(7), keyed(7, 0), "of another key");
        vm.stopPrank();
        assertEq(identities.nonces(owner), 2, "next");
        assertEq(identities.nonces(owner, 7), keyed(7, 1), "next of the other");
    }
}
