// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bip340} from "../../../contracts/Bip340.sol";
import {IRelayRegistry} from "../../../contracts/IRelayRegistry.sol";
import {IdentityRegistry} from "../../../contracts/IdentityRegistry.sol";
import {RendezvousBoard} from "../../../contracts/RendezvousBoard.sol";
import {BoardFixture} from "../helpers/BoardFixture.sol";
import {IdentityFixture} from "../helpers/IdentityFixture.sol";
import {RelayFixture} from "../helpers/RelayFixture.sol";
import {TreeModel} from "../helpers/TreeModel.sol";

/// Each external change as a transaction of its own (forge --isolate), base fee and calldata included. The figures
/// stand in contracts/snapshots/; one that differs fails the check.
contract IdentityGasTest is IdentityFixture {
    function setUp() public {
        deployIdentities();
    }

    function took(string memory name) internal {
        vm.snapshotGasLastCall("IdentityRegistry", name);
    }

    function test_direct() public {
        vm.startPrank(owner);
        identities.setIdentity(KEY);
        took("setIdentity, first");
        identities.setIdentity(DEVICE);
        took("setIdentity, rotate");
        identities.revokeBefore(uint64(START));
        took("revokeBefore");
        identities.revokeDevice(DEVICE);
        took("revokeDevice");
        identities.cancelNonce(0);
        took("cancelNonce, first");
        vm.stopPrank();
        identities.revokeBefore(uint64(START));
        took("revokeBefore, not listed");
    }

    function test_relayed() public {
        IdentityRegistry.SetIdentity memory request = setRequest(owner, 0);
        bytes memory signed = signature(ownerKey, setDigest(identities, request));
        identities.setIdentityFor(request, signed);
        took("setIdentityFor, first");
        request = setRequest(owner, 1);
        request.identityKey = DEVICE;
        signed = signature(ownerKey, setDigest(identities, request));
        identities.setIdentityFor(request, signed);
        took("setIdentityFor, rotate");
        IdentityRegistry.RevokeBefore memory revocation =
            IdentityRegistry.RevokeBefore(owner, uint64(START), 2, FOREVER);
        signed = signature(ownerKey, revokeDigest(identities, revocation));
        identities.revokeBeforeFor(revocation, signed);
        took("revokeBeforeFor");
        IdentityRegistry.RevokeDevice memory device = IdentityRegistry.RevokeDevice(owner, DEVICE, 3, FOREVER);
        signed = signature(ownerKey, deviceDigest(identities, device));
        identities.revokeDeviceFor(device, signed);
        took("revokeDeviceFor");
    }
}

contract RelayGasTest is RelayFixture {
    using TreeModel for TreeModel.Tree;

    address internal constant ALICE = address(0xA11CE);

    function setUp() public {
        deployRegistry();
        vm.deal(ALICE, 1_000 ether);
    }

    function took(string memory name) internal {
        vm.snapshotGasLastCall("RelayRegistry", name);
        followEvents();
    }

    function register(uint256 relay, string memory name) internal returns (IRelayRegistry.Entry memory) {
        IRelayRegistry.Registration memory asked = request(relay, actsFrom() + TERM);
        bytes32[12] memory siblings = tree.siblings(relay);
        vm.prank(ALICE);
        registry.register{value: STAKE}(asked, relay, siblings);
        took(name);
        return entry(asked, actsFrom());
    }

    function renew(uint256 relay, IRelayRegistry.Entry memory current, uint256 key, string memory name)
        internal
        returns (IRelayRegistry.Entry memory)
    {
        IRelayRegistry.Registration memory asked = request(relay, actsFrom() + TERM);
        asked.signKey = vm.addr(key);
        bytes32[12] memory siblings = tree.siblings(relay);
        vm.prank(ALICE);
        registry.renew(asked, current, relay, siblings);
        took(name);
        return entry(asked, current.fromEpoch);
    }

    function test_relays() public {
        IRelayRegistry.Entry memory first = register(1, "register, first ever");
        register(2, "register, later in the epoch");
        for (uint256 i = 0; i < 4; ++i) {
            vm.warp(block.timestamp + EPOCH); // each place of the ring is written once
            register(10 + i, "register, first of an epoch, new place");
        }
        vm.warp(block.timestamp + EPOCH);
        register(20, "register, first of an epoch");
        first = renew(1, first, signingKey(1), "renew");
        vm.warp(block.timestamp + EPOCH);
        first = renew(1, first, signingKey(1), "renew, first of an epoch");
        first = renew(1, first, signingKey(99), "renew with another signing key");
        bytes32[12] memory siblings = tree.siblings(1);
        vm.prank(ALICE);
        registry.exit(first, 1, siblings);
        took("exit");
        vm.warp(registry.stakeOf(ALICE, relayId(1)).unlockAt);
        vm.prank(ALICE);
        registry.withdraw(relayId(1));
        took("withdraw");
    }

    function test_slashing() public {
        IRelayRegistry.Entry memory current = register(1, "register, first ever");
        IRelayRegistry.Statement memory one = IRelayRegistry.Statement(relayId(1), actsFrom(), 0, "one");
        IRelayRegistry.Statement memory two = IRelayRegistry.Statement(relayId(1), actsFrom(), 0, "two");
        bytes memory first = signStatement(signingKey(1), one);
        bytes memory second = signStatement(signingKey(1), two);
        registry.slash(ALICE, one, first, two.hash, second);
        took("slash");
        bytes32[12] memory siblings = tree.siblings(1);
        registry.clear(ALICE, current, STAKE, 1, siblings);
        took("clear a slashed entry");
        vm.prank(address(this));
        registry.withdrawReward();
        took("withdrawReward");
    }

    receive() external payable {}
}

contract BoardGasTest is BoardFixture {
    function setUp() public {
        deployBoard();
    }

    function took(string memory name) internal {
        vm.snapshotGasLastCall("RendezvousBoard", name);
    }

    function test_board() public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signed_) =
            signed(1, 20_000, uint64(START), keccak256("a"));
        board.commit(made, signed_);
        took("commit, first");
        (made, signed_) = signed(1, 20_000, uint64(START) + 100, keccak256("b"));
        board.commit(made, signed_);
        took("commit, later");
        bytes memory record = new bytes(1_024);
        for (uint256 i = 0; i < record.length; ++i) {
            record[i] = bytes1(uint8(i % 255 + 1));
        }
        (made, signed_) = signed(2, 20_000, uint64(START) + 200, sha256(record));
        board.publish(made, signed_, record);
        took("publish 1024 bytes, first");
        (made, signed_) = signed(2, 20_000, uint64(START) + 300, sha256(record));
        board.publish(made, signed_, record);
        took("publish 1024 bytes, later");
        board.postBatch(keccak256("root"));
        took("postBatch");
    }
}
