// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IRelayRegistry} from "../../contracts/IRelayRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {ReentrantOperator, RefusingOperator} from "../../contracts/test/Hostile.sol";
import {RelayFixture} from "./helpers/RelayFixture.sol";
import {TreeModel} from "./helpers/TreeModel.sol";

/// Two different statements of one key for one epoch and number, and nothing else, cost the stake.
contract RelaySlashingTest is RelayFixture {
    using TreeModel for TreeModel.Tree;

    address internal constant ALICE = address(0xA11CE);
    address internal constant REPORTER = address(0x4E4);
    uint256 internal constant SLOT = 9;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    IRelayRegistry.Entry internal current;
    uint256 internal key;

    function setUp() public {
        deployRegistry();
        vm.deal(ALICE, 100 ether);
        key = signingKey(1);
        IRelayRegistry.Registration memory asked = request(1, actsFrom() + TERM);
        vm.prank(ALICE);
        registry.register{value: 40 ether}(asked, SLOT, tree.siblings(SLOT));
        followEvents();
        current = entry(asked, actsFrom());
    }

    function statement(bytes32 hash) internal view returns (IRelayRegistry.Statement memory) {
        return IRelayRegistry.Statement(relayId(1), actsFrom(), 0, hash);
    }

    function slash(IRelayRegistry.Statement memory first, bytes32 second, uint256 a, uint256 b) internal {
        IRelayRegistry.Statement memory other = IRelayRegistry.Statement(first.relayId, first.epoch, first.seq, second);
        bytes memory firstSignature = signStatement(a, first);
        bytes memory secondSignature = signStatement(b, other);
        vm.prank(REPORTER);
        registry.slash(ALICE, first, firstSignature, second, secondSignature);
    }

    function refuse(IRelayRegistry.Statement memory first, bytes32 second, uint256 a, uint256 b, bytes memory reason)
        internal
    {
        IRelayRegistry.Statement memory other = IRelayRegistry.Statement(first.relayId, first.epoch, first.seq, second);
        bytes memory firstSignature = signStatement(a, first);
        bytes memory secondSignature = signStatement(b, other);
        vm.expectRevert(reason);
        registry.slash(ALICE, first, firstSignature, second, secondSignature);
    }

    function test_digestIsThatOfEip712() public view {
        IRelayRegistry.Statement memory made = statement("a");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,bytes32 salt)"),
                keccak256("PeerStream"),
                keccak256("1"),
                registry.networkId()
            )
        );
        bytes32 body = keccak256(
            abi.encode(
                keccak256("RelayStatement(bytes32 relayId,uint64 epoch,uint64 seq,bytes32 hash)"),
                made.relayId,
                made.epoch,
                made.seq,
                made.hash
            )
        );
        assertEq(registry.domainSeparator(), domain, "domain");
        assertEq(registry.statementDigest(made), keccak256(abi.encodePacked(hex"1901", domain, body)), "digest");
    }

    function test_equivocationCostsTheStake() public {
        vm.expectEmit();
        emit IRelayRegistry.RelaySlashed(ALICE, relayId(1), REPORTER, 40 ether, 2 ether);
        slash(statement("a"), "b", key, key);
        IRelayRegistry.Stake memory stake = registry.stakeOf(ALICE, relayId(1));
        assertEq(stake.amount, 0, "gone");
        assertEq(stake.unlockAt, type(uint64).max, "for ever");
        assertEq(registry.rewardOf(REPORTER), 2 ether, "a twentieth");
        vm.expectEmit();
        emit IRelayRegistry.RewardWithdrawn(REPORTER, 2 ether);
        vm.prank(REPORTER);
        registry.withdrawReward();
        assertEq(REPORTER.balance, 2 ether, "paid");
        assertEq(address(registry).balance, 38 ether, "the rest stays");
        vm.prank(REPORTER);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNoReward.selector, REPORTER));
        registry.withdrawReward();
    }

    function test_aSlashedNameIsOver() public {
        slash(statement("a"), "b", key, key);
        bytes32[12] memory siblings = tree.siblings(SLOT);
        bytes memory over = abi.encodeWithSelector(IRelayRegistry.RelayRegistrySlashed.selector, ALICE, relayId(1));
        bytes memory none =
            abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(1));
        IRelayRegistry.Registration memory asked = request(1, actsFrom());
        vm.startPrank(ALICE);
        vm.expectRevert(over);
        registry.renew(asked, current, SLOT, siblings);
        vm.expectRevert(over);
        registry.exit(current, SLOT, siblings);
        vm.expectRevert(over);
        registry.register{value: STAKE}(asked, 4, siblings);
        vm.expectRevert(none);
        registry.withdraw(relayId(1));
        vm.stopPrank();
        refuse(statement("a"), "b", key, key, none);
    }

    function test_anybodyClearsASlashedEntryAtOnce() public {
        slash(statement("a"), "b", key, key);
        vm.expectEmit();
        emit IRelayRegistry.RelayRemoved(ALICE, relayId(1), SLOT, actsFrom());
        registry.clear(ALICE, current, 40 ether, SLOT, tree.siblings(SLOT));
        assertEq(registry.latestRoot(), TreeModel.empty(12), "empty");
        assertEq(registry.stakeOf(ALICE, relayId(1)).unlockAt, type(uint64).max, "still over");
    }

    function test_slashDuringUnbonding() public {
        IRelayRegistry.Statement memory made = statement("a");
        vm.prank(ALICE);
        registry.exit(current, SLOT, tree.siblings(SLOT));
        uint256 unlockAt = registry.stakeOf(ALICE, relayId(1)).unlockAt;
        made.epoch -= 1; // the last one it speaks for
        vm.warp(unlockAt - 1);
        slash(made, "b", key, key);
        vm.warp(unlockAt);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(1)));
        registry.withdraw(relayId(1));
    }

    function test_whatIsNoEquivocation() public {
        bytes memory none = abi.encodeWithSelector(IRelayRegistry.RelayRegistryNoEquivocation.selector);
        refuse(statement("a"), "a", key, key, none); // the same
        refuse(statement("a"), "b", key, signingKey(2), none); // another's word
        refuse(statement("a"), "b", signingKey(2), signingKey(2), none); // never its key
        IRelayRegistry.Statement memory foreign = statement("a");
        foreign.relayId = relayId(2);
        refuse(
            foreign,
            "b",
            key,
            key,
            abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(2))
        );
    }

    function testFuzz_anotherEpochOrNumberOrRelayIsNoEquivocation(uint64 epoch, uint64 seq, bytes32 id) public {
        IRelayRegistry.Statement memory first = statement("a");
        vm.assume(epoch != first.epoch || seq != first.seq || id != first.relayId);
        bytes memory one = signStatement(key, first);
        bytes memory two = signStatement(key, IRelayRegistry.Statement(id, epoch, seq, "b"));
        vm.expectRevert(IRelayRegistry.RelayRegistryNoEquivocation.selector);
        registry.slash(ALICE, first, one, "b", two);
    }

    function test_statementsOfAnotherNetworkDoNotCount() public {
        IRelayRegistry.Statement memory first = statement("a");
        RelayRegistry other = new RelayRegistry(EPOCH, TERM, UNBONDING, STAKE, NETWORK, GENESIS);
        bytes memory one = signature(key, other.statementDigest(first));
        bytes memory two = signature(key, other.statementDigest(statement("b")));
        vm.expectRevert(IRelayRegistry.RelayRegistryNoEquivocation.selector);
        registry.slash(ALICE, first, one, "b", two);
    }

    function test_malformedSignaturesAreRefused() public {
        IRelayRegistry.Statement memory first = statement("a");
        bytes memory two = signStatement(key, statement("b"));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, registry.statementDigest(first));
        bytes32 high = bytes32(ORDER - uint256(s));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, high));
        registry.slash(ALICE, first, abi.encodePacked(r, high, v == 27 ? 28 : 27), "b", two);
        bytes32 compact = bytes32(uint256(s) | uint256(v - 27) << 255);
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureLength.selector, 64));
        registry.slash(ALICE, first, abi.encodePacked(r, compact), "b", two);
        vm.expectRevert(ECDSA.ECDSAInvalidSignature.selector);
        registry.slash(ALICE, first, abi.encodePacked(r, s, v - 27), "b", two);
    }

    function test_aKeyThatWasGivenUpSpeaksOnlyForItsEpochs() public {
        IRelayRegistry.Registration memory asked = request(1, actsFrom() + TERM);
        asked.signKey = vm.addr(signingKey(3));
        uint64 until = actsFrom();
        vm.prank(ALICE);
        registry.renew(asked, current, SLOT, tree.siblings(SLOT));
        IRelayRegistry.Statement memory made = statement("a");
        made.epoch = until;
        bytes memory none = abi.encodeWithSelector(IRelayRegistry.RelayRegistryNoEquivocation.selector);
        refuse(made, "b", key, key, none);
        made.epoch = until - 1;
        slash(made, "b", key, key);
    }

    function test_statementsAreEvidenceAsLongAsTheStakeWouldBeHeld() public {
        IRelayRegistry.Statement memory made = statement("a");
        uint256 last = made.epoch + registry.EVIDENCE_EPOCHS();
        vm.warp((last + 1) * EPOCH);
        refuse(
            made,
            "b",
            key,
            key,
            abi.encodeWithSelector(IRelayRegistry.RelayRegistryEvidenceTooOld.selector, made.epoch, made.epoch + 1)
        );
        vm.warp((last + 1) * EPOCH - 1);
        slash(made, "b", key, key);
    }

    function test_evidenceInTheFirstEpochsOfAChain() public {
        vm.warp(EPOCH);
        slash(statement("a"), "b", key, key);
        assertEq(registry.rewardOf(REPORTER), 2 ether, "reward");
    }

    function test_hostileReportersGetTheirRewardOnceOrNotAtAll() public {
        IRelayRegistry.Statement memory made = statement("a");
        bytes memory one = signStatement(key, made);
        bytes memory two = signStatement(key, statement("b"));
        RefusingOperator refusing = new RefusingOperator(registry);
        vm.expectRevert(IRelayRegistry.RelayRegistryPaymentFailed.selector);
        refusing.slashAndCollect(ALICE, made, one, "b", two);
        ReentrantOperator reentrant = new ReentrantOperator(registry, relayId(1));
        reentrant.slashAndCollect(ALICE, made, one, "b", two);
        assertEq(reentrant.payments(), 1, "one payment");
        assertEq(reentrant.successes(), 0, "nothing on the way");
        assertEq(address(registry).balance, 38 ether, "the rest stays");
    }
}
