// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bip340} from "../../contracts/Bip340.sol";
import {INetworkAnchor} from "../../contracts/INetworkAnchor.sol";
import {RendezvousBoard} from "../../contracts/RendezvousBoard.sol";
import {BoardFixture} from "./helpers/BoardFixture.sol";

/// Commitments by blinded keys, batches of them, and whole records.
contract RendezvousBoardTest is BoardFixture {
    function setUp() public {
        deployBoard();
    }

    function refuse(RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_, bytes memory reason)
        internal
    {
        vm.expectRevert(reason);
        board.commit(made, signature_);
    }

    function bad(bytes32 key) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(RendezvousBoard.RendezvousBoardBadSignature.selector, key);
    }

    function stale(uint64 revision, uint64 committed) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(RendezvousBoard.RendezvousBoardStaleRevision.selector, revision, committed);
    }

    function test_anchorMustBeAContract() public {
        vm.expectRevert(abi.encodeWithSelector(RendezvousBoard.RendezvousBoardBadAnchor.selector, address(1)));
        new RendezvousBoard(INetworkAnchor(address(1)));
        assertEq(board.EPOCH_S(), EPOCH, "the anchor's epoch");
    }

    function test_messageIsATaggedHash() public view {
        (, bytes32 key) = blinded(1);
        bytes32 tag = sha256("psp/commitment/1");
        bytes memory body = abi.encodePacked(board.ANCHOR().networkId(), key, uint64(3), uint64(9), bytes32("hash"));
        bytes32 expected = sha256(bytes.concat(tag, tag, body));
        assertEq(board.messageOf(commitment(key, 3, 9, "hash")), expected, "message");
    }

    function test_anybodySendsWhatTheKeySigned() public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 20_000, 5, "hash");
        vm.expectEmit();
        emit RendezvousBoard.Committed(made.blindedKey, 20_000, 5, "hash");
        board.commit(made, signature_);
        (uint64 revision, bytes24 start) = board.commitmentOf(made.blindedKey, 20_000);
        assertEq(revision, 5, "revision");
        assertEq(bytes32(start), "hash", "hash");
        refuse(made, signature_, stale(5, 5));
    }

    function testFuzz_revisionsOnlyRise(uint64 first, uint64 second, bytes32 a, bytes32 b) public {
        first = uint64(within(first, 1, START + 1 hours));
        second = uint64(within(second, 0, START + 1 hours));
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, first, a);
        board.commit(made, signature_);
        (made, signature_) = signed(1, 7, second, b);
        if (second <= first) refuse(made, signature_, stale(second, first));
        else board.commit(made, signature_);
        (uint64 revision, bytes24 start) = board.commitmentOf(made.blindedKey, 7);
        assertEq(revision, second > first ? second : first, "the highest");
        assertEq(bytes32(start), bytes32(bytes24(second > first ? b : a)), "its hash");
    }

    function test_revisionZeroIsNone() public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, 0, "hash");
        refuse(made, signature_, stale(0, 0));
    }

    /// A stolen signature for the end of time would hide every record that its owner makes in the period.
    function test_noRevisionIsFromTheFuture() public {
        uint64 latest = uint64(START + 1 hours);
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, latest + 1, "x");
        bytes4 future = RendezvousBoard.RendezvousBoardFutureRevision.selector;
        refuse(made, signature_, abi.encodeWithSelector(future, latest + 1, latest));
        (made, signature_) = signed(1, 7, type(uint64).max, "x");
        refuse(made, signature_, abi.encodeWithSelector(future, type(uint64).max, latest));
        (made, signature_) = signed(1, 7, latest, "x");
        board.commit(made, signature_);
    }

    function test_keysAndPeriodsAreIndependent() public {
        (RendezvousBoard.Commitment memory one, Bip340.Signature memory first) = signed(1, 7, 9, "a");
        (RendezvousBoard.Commitment memory two, Bip340.Signature memory second) = signed(2, 7, 1, "b");
        (RendezvousBoard.Commitment memory three, Bip340.Signature memory third) = signed(1, 8, 1, "c");
        board.commit(one, first);
        board.commit(two, second);
        board.commit(three, third);
        (uint64 revision,) = board.commitmentOf(one.blindedKey, 7);
        assertEq(revision, 9, "as it was");
    }

    /// The draft took commitments without a signature: a stranger's revision 2^64 - 1 hid every real record.
    function test_aStrangerCommitsNothing() public {
        (uint256 secret,) = blinded(2);
        (, bytes32 victim) = blinded(1);
        RendezvousBoard.Commitment memory made = commitment(victim, 7, uint64(START), "x");
        refuse(made, sign(secret, victim, board.messageOf(made)), bad(victim));
    }

    function testFuzz_aSignatureIsForOneCommitmentOnly(uint64 period, uint64 revision, bytes32 hash) public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, 5, "hash");
        revision = uint64(within(revision, 1, START + 1 hours));
        vm.assume(period != 7 || revision != 5 || hash != "hash");
        (made.period, made.revision, made.hash) = (period, revision, hash);
        refuse(made, signature_, bad(made.blindedKey));
    }

    function test_aSignatureIsForOneNetworkOnly() public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, 5, "hash");
        RendezvousBoard other = new RendezvousBoard(newAnchor());
        vm.expectRevert(bad(made.blindedKey));
        other.commit(made, signature_);
        vm.chainId(block.chainid + 1);
        refuse(made, signature_, bad(made.blindedKey));
    }

    // --- whole records

    function testFuzz_aWholeRecord(bytes calldata record) public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, 5, sha256(record));
        vm.expectEmit();
        emit RendezvousBoard.Committed(made.blindedKey, 7, 5, made.hash);
        vm.expectEmit();
        emit RendezvousBoard.RecordPublished(made.blindedKey, 7, 5, record);
        board.publish(made, signature_, record);
        vm.expectRevert(stale(5, 5));
        board.publish(made, signature_, record);
    }

    function test_anotherRecordIsRefused() public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, 5, sha256("one"));
        vm.expectRevert(abi.encodeWithSelector(RendezvousBoard.RendezvousBoardOtherRecord.selector, made.hash));
        board.publish(made, signature_, "two");
        signature_.s ^= 1;
        vm.expectRevert(bad(made.blindedKey));
        board.publish(made, signature_, "one");
    }

    // --- batches

    function test_aBatchIsPostedOncePerEpoch() public {
        uint256 epoch = START / EPOCH;
        vm.expectRevert(
            abi.encodeWithSelector(RendezvousBoard.RendezvousBoardBadBatch.selector, bytes32(0), bytes32(0))
        );
        board.postBatch(0);
        vm.expectEmit();
        emit RendezvousBoard.BatchPosted(address(this), epoch, "root");
        board.postBatch("root");
        assertEq(board.batchRootOf(address(this), epoch), "root", "root");
        vm.warp(START + EPOCH - 1);
        vm.expectRevert(
            abi.encodeWithSelector(RendezvousBoard.RendezvousBoardBadBatch.selector, bytes32("other"), bytes32("root"))
        );
        board.postBatch("other");
        vm.prank(address(2));
        board.postBatch("other");
        vm.warp(START + EPOCH);
        board.postBatch("next");
        assertEq(board.batchRootOf(address(this), epoch), "root", "never changed");
        assertEq(board.batchRootOf(address(this), epoch + 1), "next", "the next epoch's");
    }

    function test_aBatchProvesItsCommitments() public {
        (RendezvousBoard.Commitment memory one, Bip340.Signature memory first) = signed(1, 7, 5, "a");
        (RendezvousBoard.Commitment memory two, Bip340.Signature memory second) = signed(2, 7, 6, "b");
        (bytes32 left, bytes32 right) = (leafOf(one, first), leafOf(two, second));
        board.postBatch(left < right ? keccak256(abi.encode(left, right)) : keccak256(abi.encode(right, left)));
        uint256 epoch = START / EPOCH;
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = right;
        assertTrue(board.isInBatch(address(this), epoch, one, first, proof), "in");
        assertTrue(!board.isInBatch(address(this), epoch + 1, one, first, proof), "not in another epoch's");
        assertTrue(!board.isInBatch(address(2), epoch, one, first, proof), "nor in another aggregator's");
        assertTrue(!board.isInBatch(address(this), epoch, two, first, proof), "another commitment");
        first.s ^= 1;
        assertTrue(!board.isInBatch(address(this), epoch, one, first, proof), "another signature");
    }

    /// An aggregator can put what it likes under its root, and still speaks for no blinded key.
    function test_aBatchWithAForgedCommitmentProvesNothing() public {
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signed(1, 7, 5, "a");
        made.revision = type(uint64).max;
        board.postBatch(leafOf(made, signature_));
        assertTrue(!board.isInBatch(address(this), START / EPOCH, made, signature_, new bytes32[](0)), "not by the key");
    }
}
