// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bip340} from "../../../contracts/Bip340.sol";
import {RendezvousBoard} from "../../../contracts/RendezvousBoard.sol";
import {BoardFixture} from "./BoardFixture.sol";

/// Blinded keys that commit, aggregators that post, and strangers who try to commit for others.
contract BoardHandler is BoardFixture {
    uint256 public constant SLOTS = 4;

    mapping(uint256 slot => uint64) public revision;
    mapping(uint256 slot => bytes32) public hash;
    mapping(address aggregator => mapping(uint256 epoch => bytes32)) public root;
    uint256 public commits;
    uint256[2] private _secrets;
    bytes32[2] private _keys;

    constructor() {
        deployBoard();
        (_secrets[0], _keys[0]) = blinded(0);
        (_secrets[1], _keys[1]) = blinded(1);
    }

    function target() external view returns (RendezvousBoard) {
        return board;
    }

    function keyOf(uint256 slot) public view returns (bytes32) {
        return _keys[slot & 1];
    }

    function periodOf(uint256 slot) public pure returns (uint64) {
        return uint64(slot >> 1 & 1);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + within(time, 1, EPOCH));
    }

    function commit(uint256 slot, uint64 revision_, bytes32 hash_, bool whole) external {
        slot %= SLOTS;
        revision_ = uint64(within(revision_, 0, revision[slot] + 2));
        if (revision_ % 4 == 0) revision_ = uint64(within(revision_, block.timestamp, block.timestamp + 2 hours));
        bytes memory record = abi.encode(hash_);
        if (whole) hash_ = sha256(record);
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) = signedBy(slot, revision_, hash_);
        bool right = revision_ > revision[slot] && revision_ <= block.timestamp + 1 hours;
        bytes memory call = whole
            ? abi.encodeCall(board.publish, (made, signature_, record))
            : abi.encodeCall(board.commit, (made, signature_));
        (bool accepted,) = address(board).call(call);
        assertTrue(accepted == right, "a commitment's fate");
        if (!right) return;
        (revision[slot], hash[slot]) = (revision_, hash_);
        commits += 1;
    }

    function forge_(uint256 slot, uint64 revision_, uint256 flip, uint8 where) external {
        slot %= SLOTS;
        (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_) =
            signedBy(slot, uint64(within(revision_, 1, block.timestamp)), "x");
        if (where % 4 == 0) made.blindedKey = keyOf(slot + 1);
        if (where % 4 == 1) made.hash ^= bytes32(flip | 1);
        if (where % 4 == 2) signature_.s ^= flip | 1;
        if (where % 4 == 3) made.revision ^= uint64(flip) | 1;
        (bool accepted,) = address(board).call(abi.encodeCall(board.commit, (made, signature_)));
        assertTrue(!accepted, "a forgery was to fail");
    }

    function post(uint256 who, bytes32 root_) external {
        address aggregator = address(uint160(0x3000 + who % 2));
        uint256 epoch = block.timestamp / EPOCH;
        vm.prank(aggregator);
        (bool accepted,) = address(board).call(abi.encodeCall(board.postBatch, (root_)));
        assertTrue(accepted == (root_ != 0 && root[aggregator][epoch] == 0), "a batch's fate");
        if (accepted) root[aggregator][epoch] = root_;
        assertEq(board.batchRootOf(aggregator, epoch), root[aggregator][epoch], "one root per epoch");
    }

    function signedBy(uint256 slot, uint64 revision_, bytes32 hash_)
        private
        view
        returns (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_)
    {
        made = commitment(keyOf(slot), periodOf(slot), revision_, hash_);
        signature_ = sign(_secrets[slot & 1], made.blindedKey, board.messageOf(made));
    }
}
