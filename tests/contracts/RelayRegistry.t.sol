// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IRelayRegistry} from "../../contracts/IRelayRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {RelayTree} from "../../contracts/RelayTree.sol";
import {RelayFixture} from "./helpers/RelayFixture.sol";
import {TreeModel} from "./helpers/TreeModel.sol";

/// Registering, renewing, leaving, clearing away.
contract RelayRegistryTest is RelayFixture {
    using TreeModel for TreeModel.Tree;

    address internal constant ALICE = address(0xA11CE);
    address internal constant MALLORY = address(0xBAD);

    function setUp() public {
        deployRegistry();
        vm.deal(ALICE, 100 ether);
        vm.deal(MALLORY, 100 ether);
    }

    function register(address operator, uint256 relay, uint256 slot, uint96 stake)
        internal
        returns (IRelayRegistry.Entry memory)
    {
        IRelayRegistry.Registration memory asked = request(relay, actsFrom() + TERM);
        vm.prank(operator);
        registry.register{value: stake}(asked, slot, tree.siblings(slot));
        followEvents();
        return entry(asked, actsFrom());
    }

    function renew(IRelayRegistry.Registration memory asked, IRelayRegistry.Entry memory current, uint256 slot)
        internal
    {
        vm.prank(ALICE);
        registry.renew(asked, current, slot, tree.siblings(slot));
        followEvents();
    }

    function skip(uint256 epochs) internal {
        vm.warp(block.timestamp + epochs * EPOCH);
    }

    // --- the constructor

    function test_parametersAreKept() public view {
        assertEq(registry.EPOCH_S(), EPOCH, "epoch");
        assertEq(registry.TERM_EPOCHS(), TERM, "term");
        assertEq(registry.UNBONDING_S(), UNBONDING, "unbonding");
        assertEq(registry.MINIMUM_STAKE(), STAKE, "stake");
        assertEq(registry.NETWORK_HASH(), NETWORK, "network hash");
        assertEq(registry.GENESIS_HASH(), GENESIS, "genesis hash");
        assertEq(registry.EVIDENCE_EPOCHS(), 2 + 56, "evidence");
        assertEq(registry.ACTIVATION_EPOCHS(), 2, "activation");
        assertEq(registry.REWARD_DIVISOR(), 20, "reward");
    }

    function test_parametersAreChecked() public {
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(0, TERM, UNBONDING, STAKE, NETWORK, GENESIS);
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(EPOCH, 0, UNBONDING, STAKE, NETWORK, GENESIS);
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(EPOCH, TERM, 0, STAKE, NETWORK, GENESIS);
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(EPOCH, TERM, 366 days + 1, STAKE, NETWORK, GENESIS);
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(EPOCH, TERM, UNBONDING, 0, NETWORK, GENESIS);
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(EPOCH, TERM, UNBONDING, STAKE, 0, GENESIS);
        vm.expectRevert(IRelayRegistry.RelayRegistryBadParameter.selector);
        new RelayRegistry(EPOCH, TERM, UNBONDING, STAKE, NETWORK, 0);
        new RelayRegistry(EPOCH, TERM, 366 days, STAKE, NETWORK, GENESIS);
    }

    function test_networkIdFollowsChainAndContract() public {
        bytes memory preimage =
            abi.encodePacked("psp/net/1", uint8(1), uint64(block.chainid), address(registry), GENESIS);
        bytes32 here = registry.networkId();
        assertEq(here, sha256(preimage), "as the identity package has it");
        RelayRegistry other = new RelayRegistry(EPOCH, TERM, UNBONDING, STAKE, NETWORK, GENESIS);
        assertTrue(other.networkId() != here, "another contract is another network");
        vm.chainId(block.chainid + 1);
        assertTrue(registry.networkId() != here, "a fork of the chain is another network");
        vm.chainId(1 << 63);
        registry.networkId();
    }

    // --- register

    function test_registerActsTwoEpochsLater() public {
        bytes32 before = registry.rootFor(registry.epoch());
        register(ALICE, 1, 5, STAKE);
        assertEq(registry.latestRoot(), tree.root(), "events give the root");
        assertEq(registry.rootFor(registry.epoch()), before, "not now");
        assertEq(registry.rootFor(registry.epoch() + 1), before, "not next");
        skip(1);
        assertEq(registry.rootFor(registry.epoch() + 1), tree.root(), "after next");
        IRelayRegistry.Stake memory stake = registry.stakeOf(ALICE, relayId(1));
        assertEq(stake.amount, STAKE, "amount");
        assertEq(stake.unlockAt, 0, "registered");
        assertEq(address(registry).balance, STAKE, "balance");
        assertEq(registry.signKeyUntil(ALICE, relayId(1), vm.addr(signingKey(1))), IN_USE, "key in use");
    }

    function test_registerEmitsWhatReadersNeed() public {
        IRelayRegistry.Registration memory asked = request(7, actsFrom() + 3);
        vm.expectEmit();
        emit IRelayRegistry.RelaySet(
            ALICE, asked.relayId, 4095, entry(asked, actsFrom()), 3 ether, actsFrom(), asked.possession
        );
        vm.prank(ALICE);
        registry.register{value: 3 ether}(asked, 4095, tree.siblings(4095));
    }

    function testFuzz_registerAnywhere(uint256 slot, uint96 stake, uint64 term) public {
        slot = within(slot, 0, 4095);
        stake = uint96(within(stake, STAKE, 50 ether));
        IRelayRegistry.Registration memory asked = request(2, uint64(within(term, actsFrom(), actsFrom() + TERM)));
        vm.prank(ALICE);
        registry.register{value: stake}(asked, slot, tree.siblings(slot));
        followEvents();
        assertEq(registry.latestRoot(), tree.root(), "root");
    }

    function refuse(IRelayRegistry.Registration memory asked, uint256 value, bytes memory reason) internal {
        bytes32[12] memory siblings = tree.siblings(5);
        vm.prank(ALICE);
        vm.expectRevert(reason);
        registry.register{value: value}(asked, 5, siblings);
    }

    function test_registerRefusesBadRequests() public {
        IRelayRegistry.Registration memory asked = request(1, actsFrom());
        refuse(
            asked, STAKE - 1, abi.encodeWithSelector(IRelayRegistry.RelayRegistryStakeTooLow.selector, STAKE - 1, STAKE)
        );
        asked.relayId = 0;
        refuse(asked, STAKE, abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadPossession.selector));
        asked = request(1, actsFrom());
        asked.possession = new bytes(63);
        refuse(asked, STAKE, abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadPossession.selector));
        asked = request(1, actsFrom());
        asked.signKey = address(0);
        refuse(asked, STAKE, abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadSignKey.selector, address(0)));
        asked.signKey = ALICE;
        refuse(asked, STAKE, abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadSignKey.selector, ALICE));
        (uint64 first, uint64 last) = (actsFrom(), actsFrom() + TERM);
        asked = request(1, first - 1);
        refuse(
            asked, STAKE, abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadTerm.selector, first - 1, first, last)
        );
        asked = request(1, last + 1);
        refuse(
            asked, STAKE, abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadTerm.selector, last + 1, first, last)
        );
    }

    function test_registerRefusesMoreThanAStakeCanHold() public {
        vm.deal(ALICE, 1 << 97);
        uint256 value = 1 << 96;
        refuse(
            request(1, actsFrom()),
            value,
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 96, value)
        );
    }

    function test_registerTwiceIsRefused() public {
        register(ALICE, 1, 5, STAKE);
        bytes32[12] memory siblings = tree.siblings(6);
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(IRelayRegistry.RelayRegistryAlreadyRegistered.selector, ALICE, relayId(1))
        );
        registry.register{value: STAKE}(request(1, actsFrom()), 6, siblings);
    }

    function test_anotherOperatorMayClaimTheSameRelayIdInVain() public {
        register(ALICE, 1, 5, STAKE);
        register(MALLORY, 1, 6, STAKE);
        assertEq(registry.stakeOf(ALICE, relayId(1)).amount, STAKE, "own stake");
        assertEq(registry.latestRoot(), tree.root(), "both stand in the tree");
    }

    function test_takenSlotAndStaleSiblingsAreRefused() public {
        bytes32[12] memory old = tree.siblings(6);
        register(ALICE, 1, 5, STAKE);
        vm.prank(MALLORY);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.register{value: STAKE}(request(2, actsFrom()), 6, old);
        old = tree.siblings(5);
        vm.prank(MALLORY);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.register{value: STAKE}(request(2, actsFrom()), 5, old);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(RelayTree.RelayTreeBadSlot.selector, 4096));
        registry.register{value: STAKE}(request(2, actsFrom()), 4096, old);
    }

    // --- renew

    function test_renewKeepsTheAgeOfWhoDidNotLapse() public {
        IRelayRegistry.Entry memory current = register(ALICE, 1, 5, STAKE);
        skip(TERM + 1); // the last epoch is the next one: what is renewed now follows without a gap
        assertEq(current.toEpoch, registry.epoch() + 1, "in its last epoch but one");
        IRelayRegistry.Registration memory asked = request(1, actsFrom() + TERM);
        vm.expectEmit();
        emit IRelayRegistry.RelaySet(
            ALICE, asked.relayId, 5, entry(asked, current.fromEpoch), STAKE, actsFrom(), asked.possession
        );
        renew(asked, current, 5);
        assertEq(registry.latestRoot(), tree.root(), "root");
    }

    function test_renewAfterALapseStartsAnew() public {
        IRelayRegistry.Entry memory current = register(ALICE, 1, 5, STAKE);
        skip(TERM + 2);
        IRelayRegistry.Registration memory asked = request(1, actsFrom() + TERM);
        vm.expectEmit();
        emit IRelayRegistry.RelaySet(
            ALICE, asked.relayId, 5, entry(asked, actsFrom()), STAKE, actsFrom(), asked.possession
        );
        renew(asked, current, 5);
    }

    function test_renewAddsStakeAndChangesKeys() public {
        IRelayRegistry.Entry memory current = register(ALICE, 1, 5, STAKE);
        IRelayRegistry.Registration memory asked = request(1, actsFrom() + 1);
        asked.signKey = vm.addr(signingKey(99));
        asked.family = keccak256("other");
        bytes32[12] memory siblings = tree.siblings(5);
        vm.prank(ALICE);
        registry.renew{value: 2 ether}(asked, current, 5, siblings);
        followEvents();
        assertEq(registry.stakeOf(ALICE, relayId(1)).amount, STAKE + 2 ether, "stake");
        assertEq(registry.latestRoot(), tree.root(), "root");
        assertEq(registry.signKeyUntil(ALICE, relayId(1), current.signKey), actsFrom(), "old key ends");
        assertEq(registry.signKeyUntil(ALICE, relayId(1), asked.signKey), IN_USE, "new key counts");
    }

    function test_renewByStrangersOrOfStrangersIsRefused() public {
        IRelayRegistry.Entry memory current = register(ALICE, 1, 5, STAKE);
        bytes32[12] memory siblings = tree.siblings(5);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, MALLORY, relayId(1)));
        registry.renew(request(1, actsFrom()), current, 5, siblings);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(2)));
        registry.renew(request(2, actsFrom()), current, 5, siblings);
    }

    function test_renewDoesNotTurnOneRelayIntoAnother() public {
        IRelayRegistry.Entry memory current = register(ALICE, 1, 5, STAKE);
        register(ALICE, 2, 6, STAKE); // of the same stake, so that only the name differs
        bytes32[12] memory siblings = tree.siblings(5);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotRegistered.selector, ALICE, relayId(2)));
        registry.renew(request(2, actsFrom()), current, 5, siblings);
    }

    function test_renewWithAForgedCurrentEntryIsRefused() public {
        IRelayRegistry.Entry memory current = register(ALICE, 1, 5, STAKE);
        bytes32[12] memory siblings = tree.siblings(5);
        current.fromEpoch = 1; // older than it is
        vm.prank(ALICE);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.renew(request(1, actsFrom()), current, 5, siblings);
        current.toEpoch = type(uint64).max;
        vm.prank(ALICE);
        vm.expectRevert(RelayTree.RelayTreeStaleProof.selector);
        registry.renew(request(1, actsFrom()), current, 5, siblings);
    }
}
