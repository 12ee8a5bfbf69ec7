// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {EpochRoots} from "../../contracts/EpochRoots.sol";
import {IRelayRegistry} from "../../contracts/IRelayRegistry.sol";
import {RelayFixture} from "./helpers/RelayFixture.sol";
import {TreeModel} from "./helpers/TreeModel.sol";

/// The root and the seed of each epoch.
contract RelayRootsTest is RelayFixture {
    using RLP for RLP.Encoder;
    using TreeModel for TreeModel.Tree;

    address internal constant ALICE = address(0xA11CE);
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    // calldataload(0) names the storage slot that is returned: what EIP-2935's contract does, without its ring.
    bytes internal constant READS_STORAGE = hex"5f35545f5260205ff3";
    uint256 internal constant BLOCK = 1_000;

    uint256 internal relays;

    function setUp() public {
        deployRegistry();
        vm.deal(ALICE, 1_000 ether);
        vm.etch(HISTORY, READS_STORAGE);
        vm.roll(BLOCK + 257);
    }

    function register() internal {
        IRelayRegistry.Registration memory asked = request(++relays, actsFrom());
        vm.prank(ALICE);
        registry.register{value: STAKE}(asked, relays, tree.siblings(relays));
        followEvents();
    }

    function test_emptyTreeIsInForceFromTheStart() public view {
        uint256 now_ = registry.epoch();
        for (uint256 e = now_ - 1; e <= now_ + 1; ++e) {
            assertEq(registry.rootFor(e), TreeModel.empty(12), "empty");
        }
        assertEq(registry.rootFor(0), TreeModel.empty(12), "ever");
    }

    function test_rootsThatCanStillChangeAreRefused() public {
        uint256 next = registry.epoch() + 2;
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryNotFinal.selector, next));
        registry.rootFor(next);
    }

    function test_theLastFourChangesAreRemembered() public {
        for (uint256 i = 0; i < 6; ++i) {
            register();
            register(); // a second change of an epoch takes no place
            uint256 now_ = registry.epoch();
            for (uint256 e = now_ - 1; e <= now_ + 1; ++e) {
                assertEq(registry.rootFor(e), derivedRoot(e), "the last, this and the next epoch");
            }
            vm.warp(block.timestamp + EPOCH);
        }
        uint256 oldest = START / EPOCH + 2 + 2; // changes 3 to 6 are kept
        assertEq(registry.rootFor(oldest), derivedRoot(oldest), "the oldest");
        vm.expectRevert(abi.encodeWithSelector(EpochRoots.EpochRootsForgotten.selector, oldest - 1));
        registry.rootFor(oldest - 1);
    }

    function testFuzz_anyRhythmOfChanges(uint256 rhythm) public {
        for (uint256 i = 0; i < 16; ++i) {
            if (rhythm & 1 == 1) register();
            vm.warp(block.timestamp + (rhythm >> 1 & 3) * (EPOCH / 2));
            rhythm >>= 3;
            uint256 now_ = registry.epoch();
            for (uint256 e = now_ - 1; e <= now_ + 1; ++e) {
                assertEq(registry.rootFor(e), derivedRoot(e), "as derived from the events");
            }
        }
    }

    function test_storageSlotsOfTheRingArePartOfTheSpecification() public {
        register();
        uint256 packed = uint256(vm.load(address(registry), 0));
        assertEq(packed >> 192, 1, "the head is place 1");
        assertEq(packed >> 48 & type(uint48).max, actsFrom(), "its epoch");
        assertEq(vm.load(address(registry), bytes32(uint256(2))), tree.root(), "its root stands in slot 1 + place");
        assertEq(vm.load(address(registry), bytes32(uint256(1))), TreeModel.empty(12), "place 0 has the first root");
    }

    // --- seeds

    function header(bytes32 parent, uint256 number, uint256 time, bytes32 randao) internal pure returns (bytes memory) {
        RLP.Encoder memory fields = RLP.encoder().push(parent).push(keccak256("ommers")).push(address(1));
        fields = fields.push(keccak256("state")).push(keccak256("transactions")).push(keccak256("receipts"));
        fields =
            fields.push(new bytes(256)).push(uint256(0)).push(number).push(uint256(30_000_000)).push(uint256(21_000));
        fields = fields.push(time).push(bytes("extra")).push(randao).push(abi.encodePacked(bytes8(0)));
        return RLP.encode(fields);
    }

    function blocks(uint256 parentTime, uint256 time) internal returns (bytes memory child, bytes memory parent) {
        parent = header("grandparent", BLOCK - 1, parentTime, "parent's");
        child = header(keccak256(parent), BLOCK, time, "seed");
        vm.store(HISTORY, bytes32(BLOCK), keccak256(child));
    }

    function refuse(uint256 epoch, bytes memory child, bytes memory parent) internal {
        vm.expectRevert(abi.encodeWithSelector(IRelayRegistry.RelayRegistryBadSeedProof.selector, epoch));
        registry.proveSeed(epoch, child, parent);
    }

    function test_seedIsPrevrandaoOfTheFirstBlockOfTheEpoch() public {
        uint256 epoch = registry.epoch();
        (bytes memory child, bytes memory parent) = blocks(epoch * EPOCH - 1, epoch * EPOCH);
        assertEq(registry.seedFor(epoch), 0, "not yet");
        vm.expectEmit();
        emit IRelayRegistry.EpochSeedProven(epoch, "seed");
        vm.prank(ALICE);
        registry.proveSeed(epoch, child, parent);
        assertEq(registry.seedFor(epoch), "seed", "proven");
        registry.proveSeed(epoch, child, parent);
        assertEq(registry.seedFor(epoch), "seed", "the same for whoever comes later");
    }

    function test_seedOfEpochsWithoutABlockIsThatOfTheNextBlock() public {
        uint256 epoch = registry.epoch();
        (bytes memory child, bytes memory parent) = blocks((epoch - 3) * EPOCH, epoch * EPOCH + 5);
        refuse(epoch - 3, child, parent);
        refuse(epoch + 1, child, parent);
        for (uint256 e = epoch - 2; e <= epoch; ++e) {
            registry.proveSeed(e, child, parent);
            assertEq(registry.seedFor(e), "seed", "proven");
        }
    }

    function test_otherBlocksProveNothing() public {
        uint256 epoch = registry.epoch();
        (bytes memory child, bytes memory parent) = blocks(epoch * EPOCH, epoch * EPOCH + 12);
        refuse(epoch, child, parent); // the second block of the epoch
        (child, parent) = blocks(epoch * EPOCH - 12, epoch * EPOCH - 1);
        refuse(epoch, child, parent); // before it begins
        (child, parent) = blocks(epoch * EPOCH - 1, epoch * EPOCH);
        refuse(epoch, child, header("grandparent", BLOCK - 1, epoch * EPOCH - 2, "x")); // not its parent
        bytes memory forged = header(keccak256(parent), BLOCK, epoch * EPOCH, "chosen");
        refuse(epoch, forged, parent); // not of this chain
        vm.roll(BLOCK - 1);
        vm.store(HISTORY, bytes32(BLOCK), 0);
        refuse(epoch, child, parent); // not known any more, or not yet
    }

    function test_garbageIsNoHeader() public {
        vm.expectRevert(RLP.RLPInvalidEncoding.selector);
        registry.proveSeed(1, hex"", hex"");
    }
}
