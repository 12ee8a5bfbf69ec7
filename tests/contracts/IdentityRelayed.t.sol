// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";
import {IdentityRegistry} from "../../contracts/IdentityRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {SigAuth} from "../../contracts/SigAuth.sol";
import {IdentityFixture} from "./helpers/IdentityFixture.sol";

/// What somebody else sends for an account that signed it, and every replay of it.
contract IdentityRelayedTest is IdentityFixture {
    function setUp() public {
        deployIdentities();
    }

    function signSet(IdentityRegistry.SetIdentity memory request) internal view returns (bytes memory) {
        return signature(ownerKey, setDigest(identities, request));
    }

    function refuse(IdentityRegistry.SetIdentity memory request, bytes memory signed, bytes memory reason) internal {
        vm.expectRevert(reason);
        identities.setIdentityFor(request, signed);
    }

    function invalid(address account) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(SigAuth.SigAuthInvalidSignature.selector, account);
    }

    function badNonce(uint256 next) internal view returns (bytes memory) {
        return abi.encodeWithSelector(Nonces.InvalidAccountNonce.selector, owner, next);
    }

    function test_setIdentityFor() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        vm.expectEmit();
        emit IdentityRegistry.IdentitySet(owner, KEY, uint64(START));
        identities.setIdentityFor(request, signSet(request));
        assertEq(identities.identityOf(owner).identityKey, KEY, "key");
        assertEq(identities.identityOf(address(this)).identityKey, 0, "not the sender's");
    }

    function test_revokeBeforeFor() public {
        IdentityRegistry.RevokeBefore memory request =
            IdentityRegistry.RevokeBefore(owner, uint64(START), keyed(3, 0), START);
        bytes memory signed = signature(ownerKey, revokeDigest(identities, request));
        identities.revokeBeforeFor(request, signed);
        assertTrue(identities.isRevoked(owner, uint64(START)), "revoked");
        vm.expectRevert(badNonce(keyed(3, 1)));
        identities.revokeBeforeFor(request, signed);
    }

    function test_revokeDeviceFor() public {
        IdentityRegistry.RevokeDevice memory request = IdentityRegistry.RevokeDevice(owner, DEVICE, keyed(3, 0), START);
        bytes memory signed = signature(ownerKey, deviceDigest(identities, request));
        identities.revokeDeviceFor(request, signed);
        assertTrue(identities.isDeviceRevoked(owner, DEVICE), "revoked");
        vm.expectRevert(badNonce(keyed(3, 1)));
        identities.revokeDeviceFor(request, signed);
    }

    function test_noncesOfDifferentKeysComeInAnyOrder() public {
        for (uint192 key = 3; key > 0; --key) {
            IdentityRegistry.SetIdentity memory request = setRequest(owner, keyed(key, 0));
            identities.setIdentityFor(request, signSet(request));
        }
        IdentityRegistry.SetIdentity memory late = setRequest(owner, keyed(1, 2));
        refuse(late, signSet(late), badNonce(keyed(1, 1)));
    }

    function test_replayOfANonceIsRefused() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        identities.setIdentityFor(request, signed);
        refuse(request, signed, badNonce(1));
        request.nonce = 1;
        refuse(request, signed, invalid(owner));
    }

    function test_aCancelledRequestIsRefused() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        vm.prank(owner);
        identities.cancelNonce(0);
        refuse(request, signed, badNonce(1));
    }

    function test_replayAfterTheDeadlineIsRefused() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        request.deadline = START + 5;
        bytes memory signed = signSet(request);
        vm.warp(START + 6);
        refuse(request, signed, abi.encodeWithSelector(SigAuth.SigAuthExpired.selector, START + 5));
        request.deadline = START + 6;
        refuse(request, signed, invalid(owner));
        vm.warp(START + 5);
        request.deadline = START + 5;
        identities.setIdentityFor(request, signed);
    }

    function test_replayForAnotherAccountIsRefused() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        request.account = address(0xBAD);
        refuse(request, signed, invalid(address(0xBAD)));
        request.account = address(0);
        refuse(request, signed, invalid(address(0)));
    }

    function test_replayAtAnotherContractOfTheNetworkIsRefused() public {
        IdentityRegistry second = newIdentities(RelayRegistry(address(identities.ANCHOR())));
        assertEq(second.domainSeparator(), identities.domainSeparator(), "one network, one domain");
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        vm.expectRevert(invalid(owner));
        second.setIdentityFor(request, signed);
    }

    function test_replayInAnotherNetworkIsRefused() public {
        IdentityRegistry elsewhere = newIdentities(newAnchor());
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        vm.expectRevert(invalid(owner));
        elsewhere.setIdentityFor(request, signed);
    }

    function test_replayOnAForkOfTheChainIsRefused() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        refuse(request, signed, invalid(owner));
        vm.chainId(here);
        identities.setIdentityFor(request, signed);
    }

    function test_oneKindOfRequestIsNotAnother() public {
        uint64 time = uint64(START);
        IdentityRegistry.RevokeDevice memory device =
            IdentityRegistry.RevokeDevice(owner, bytes32(uint256(time)), 0, FOREVER);
        bytes memory signed = signature(ownerKey, deviceDigest(identities, device));
        vm.expectRevert(invalid(owner));
        identities.revokeBeforeFor(IdentityRegistry.RevokeBefore(owner, time, 0, FOREVER), signed);
        vm.expectRevert(invalid(owner));
        identities.setIdentityFor(IdentityRegistry.SetIdentity(owner, device.deviceKey, 0, FOREVER), signed);
    }

    function testFuzz_anyChangedFieldIsRefused(bytes32 key, uint192 nonceKey, uint256 deadline) public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signSet(request);
        uint256 nonce = uint256(nonceKey) << 64;
        deadline = within(deadline, START, FOREVER - 1);
        vm.assume(key != KEY || nonce != 0 || deadline != FOREVER);
        refuse(IdentityRegistry.SetIdentity(owner, key, nonce, deadline), signed, invalid(owner));
    }

    function testFuzz_garbageIsRefused(bytes calldata garbage) public {
        refuse(setRequest(owner, 0), garbage, invalid(owner));
    }
}
