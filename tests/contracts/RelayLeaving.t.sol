// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRelayRegistry} from "../../contracts/IRelayRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {RelayTree} from "../../contracts/RelayTree.sol";
import {ReentrantOperator, RefusingOperator} from "../../contracts/test/Hostile.sol";
import {RelayFixture} from "./helpers/RelayFixture.sol";
import {TreeModel} from "./helpers/TreeModel.sol";

/// Leaving, unbonding, clearing away what expired, and receivers that do not behave.
contract RelayLeavingTest is RelayFixture {
    using TreeModel for TreeModel.Tree;

    address internal constant ALICE = address(0xA11CE);
    address internal constant MALLORY = address(0xBAD);
    uint256 internal constant SLOT = 9;

    IRelayRegistry.Entry internal current;

    function setUp() public {
        deployRegistry();
        vm.deal(ALICE, 10 ether);
        IRelayRegistry.Registration memory asked = request(1, actsFrom() + 3);
        vm.prank(ALICE);
        registry.register{value: 2 ether}(asked, SLOT, tree.siblings(SLOT));
        followEvents();
        current = entry(asked, actsFrom());
    }

    function skip(uint256 epochs) internal {
        vm.warp(block.timestamp + epochs * EPOCH);
    }

    function exit() internal returns (uint64 unlockAt) {
        unlockAt = actsFrom() * EPOCH + UNBONDING;
        vm.prank(ALICE);
        registry.exit(current, SLOT, tree.siblings(SLOT));
        followEvents();
    }

    function clear(address operator, uint96 amount) internal {
        vm.prank(MALLORY);
        registry.clear(operator, current, amount, SLOT, tree.siblings(SLOT));
        followEvents();
    }

    function test_exitEmptiesTheSlotAndStartsUnbondingWhenTheRelayNoLongerCounts() public {
        vm.expectEmit();
        emit IRelayRegistry.RelayExited(ALICE, relayId(1), actsFrom() * EPOCH + UNBONDING);
        vm.expectEmit();
        emit IRelayRegistry.RelayRemoved(ALICE, relayId(1), SLOT, actsFrom());
        uint64 unlockAt = exit();
        assertEq(registry.latestRoot(), TreeModel.empty(12), "empty again");
        IRelayRegistry.Stake memory stake = registry.stakeOf(ALICE, relayId(1));
        assertEq(stake.amount, 2 ether, "still bonded");
        assertEq(stake.unlockAt, unlockAt, "unlock");
        assertEq(registry.signKeyUntil(ALICE, relayId(1), current.signKey), actsFrom(), "key ends");
    }

    function test_exitByAStrangerOrTwiceIsRefused() public {
        bytes32[12] memory siblings = tree.siblings(SLOT);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, MALLORY, relayId(1)));
        registry.exit(current, SLOT, siblings);
        exit();
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(1)));
        registry.exit(current, SLOT, siblings);
    }

    function test_exitWithAForgedEntryIsRefused() public {
        bytes32[12] memory siblings = tree.siblings(SLOT);
        current.family = keccak256("not mine");
        vm.prank(ALICE);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.exit(current, SLOT, siblings);
    }

    function test_withdrawOnlyAfterUnbonding() public {
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryLocked.selector, 0));
        registry.withdraw(relayId(1));
        uint64 unlockAt = exit();
        vm.warp(unlockAt - 1);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryLocked.selector, unlockAt));
        registry.withdraw(relayId(1));
        vm.warp(unlockAt);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, MALLORY, relayId(1)));
        registry.withdraw(relayId(1));
        vm.expectEmit();
        emit IRelayRegistry.StakeWithdrawn(ALICE, relayId(1), 2 ether);
        vm.prank(ALICE);
        registry.withdraw(relayId(1));
        assertEq(ALICE.balance, 10 ether, "paid");
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(1)));
        registry.withdraw(relayId(1));
    }

    function test_theNameIsFreeAgainOnlyAfterWithdrawal() public {
        uint64 unlockAt = exit();
        vm.warp(unlockAt);
        bytes32[12] memory siblings = tree.siblings(SLOT);
        IRelayRegistry.Registration memory asked = request(1, actsFrom());
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(IRelayRegistry.RelayRegistryAlreadyRegistered.selector, ALICE, relayId(1))
        );
        registry.register{value: STAKE}(asked, SLOT, siblings);
        vm.startPrank(ALICE);
        registry.withdraw(relayId(1));
        registry.register{value: STAKE}(asked, SLOT, siblings);
        vm.stopPrank();
        followEvents();
        assertEq(registry.latestRoot(), tree.root(), "root");
    }

    function test_clearOnlyWhatExpiredAWholeTermAgo() public {
        vm.warp(uint256(current.toEpoch + TERM) * EPOCH + EPOCH - 1);
        bytes32[12] memory siblings = tree.siblings(SLOT);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryStillCounts.selector, ALICE, relayId(1)));
        registry.clear(ALICE, current, 2 ether, SLOT, siblings);
        vm.warp(block.timestamp + 1);
        uint64 unlockAt = actsFrom() * EPOCH + UNBONDING;
        clear(ALICE, 2 ether);
        assertEq(registry.latestRoot(), TreeModel.empty(12), "empty again");
        assertEq(registry.stakeOf(ALICE, relayId(1)).amount, 2 ether, "nobody else touches the stake");
        vm.warp(unlockAt);
        vm.prank(ALICE);
        registry.withdraw(relayId(1));
        assertEq(ALICE.balance, 10 ether, "paid");
    }

    function test_clearWithAnotherStakeOrOperatorIsRefused() public {
        vm.warp(uint256(current.toEpoch + TERM + 1) * EPOCH);
        bytes32[12] memory siblings = tree.siblings(SLOT);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.clear(ALICE, current, 1 ether, SLOT, siblings);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.clear(MALLORY, current, 2 ether, SLOT, siblings);
        current.toEpoch -= 1;
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.clear(ALICE, current, 2 ether, SLOT, siblings);
    }

    function test_aReceiverThatRefusesKeepsItsStakeLocked() public {
        RefusingOperator operator = new RefusingOperator{value: STAKE}(registry);
        IRelayRegistry.Registration memory asked = request(2, actsFrom());
        operator.register(asked, 3, tree.siblings(3));
        followEvents();
        operator.exit(entry(asked, actsFrom()), 3, tree.siblings(3));
        vm.warp(uint256(actsFrom()) * EPOCH + UNBONDING);
        vm.expectRevert(IRelayRegistry.RelayRegistryPaymentFailed.selector);
        operator.withdraw(relayId(2));
        assertEq(registry.stakeOf(address(operator), relayId(2)).amount, STAKE, "nothing is lost");
    }

    function test_aReceiverThatComesBackIsPaidOnce() public {
        ReentrantOperator operator = new ReentrantOperator{value: STAKE}(registry, relayId(2));
        IRelayRegistry.Registration memory asked = request(2, actsFrom());
        operator.register(asked, 3, tree.siblings(3));
        followEvents();
        operator.exit(entry(asked, actsFrom()), 3, tree.siblings(3));
        vm.warp(uint256(actsFrom()) * EPOCH + UNBONDING);
        operator.withdraw(relayId(2));
        assertEq(operator.payments(), 1, "one payment");
        assertEq(operator.successes(), 0, "nothing on the way");
        assertEq(address(operator).balance, STAKE, "its own stake");
        assertEq(address(registry).balance, 2 ether, "the other's stays");
    }
}
