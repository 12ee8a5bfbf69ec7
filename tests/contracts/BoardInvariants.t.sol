// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RendezvousBoard} from "../../contracts/RendezvousBoard.sol";
import {BoardHandler} from "./helpers/BoardHandler.sol";
import {TestBase} from "./helpers/Vm.sol";

/// What holds after any commitments, forgeries and batches.
contract BoardInvariantsTest is TestBase {
    BoardHandler internal handler;
    RendezvousBoard internal board;

    function setUp() public {
        handler = new BoardHandler();
        board = handler.target();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// I4: each key's revision is the highest that it signed, with its hash, whatever anybody sent.
    function invariant_theNewestSignedRevisionStands() public view {
        for (uint256 slot = 0; slot < handler.SLOTS(); ++slot) {
            (uint64 revision, bytes24 start) = board.commitmentOf(handler.keyOf(slot), handler.periodOf(slot));
            assertEq(revision, handler.revision(slot), "revision");
            assertEq(bytes32(start), bytes32(bytes24(handler.hash(slot))), "hash");
        }
    }

    function test_theHandlerReachesEveryState() public {
        for (uint256 i = 0; i < 60; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("step", i)));
            handler.commit(seed, uint64(seed >> 64), bytes32(seed), seed >> 255 == 1);
            handler.forge_(seed >> 8, uint64(seed >> 64), seed, uint8(seed >> 128));
        }
        assertTrue(handler.commits() >= 10, "commitments hardly ever come through");
        invariant_theNewestSignedRevisionStands();
    }
}
