// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bip340} from "../../../contracts/Bip340.sol";
import {RelayRegistry} from "../../../contracts/RelayRegistry.sol";
import {RendezvousBoard} from "../../../contracts/RendezvousBoard.sol";
import {Secp256k1} from "./Secp256k1.sol";
import {TestBase} from "./Vm.sol";

/// A board, and blinded keys that sign as BIP-340 says.
abstract contract BoardFixture is TestBase {
    uint64 internal constant EPOCH = 6 hours;
    uint256 internal constant START = 81_018 * 6 hours;
    uint256 internal constant ORDER = Secp256k1.ORDER;
    uint256 internal constant FIELD = Secp256k1.FIELD;
    uint256 private constant NONCES = 16;

    struct KeyPair {
        uint256 secret;
        bytes32 key;
        uint256 y;
    }

    RendezvousBoard internal board;
    KeyPair[NONCES] private _nonces;

    constructor() {
        for (uint256 i = 0; i < NONCES; ++i) {
            _nonces[i] = evenPair(uint256(keccak256(abi.encode("nonce", i))));
        }
    }

    function deployBoard() internal {
        vm.warp(START);
        board = new RendezvousBoard(newAnchor());
    }

    function newAnchor() internal returns (RelayRegistry) {
        return new RelayRegistry(EPOCH, 60, 14 days, 1 ether, keccak256("network file"), keccak256("first block"));
    }

    /// The secret with an even y for blinded key number `number`, and the key.
    function blinded(uint256 number) internal view returns (uint256 secret, bytes32 key) {
        KeyPair memory pair = evenPair(uint256(keccak256(abi.encode("blinded", number))));
        return (pair.secret, pair.key);
    }

    /// One of a few nonces, since nothing here is worth a theft.
    function sign(uint256 secret, bytes32 key, bytes32 message) internal view returns (Bip340.Signature memory) {
        KeyPair memory nonce = _nonces[uint256(message) % NONCES];
        bytes32 tag = sha256("BIP0340/challenge");
        uint256 challenge = uint256(sha256(abi.encode(tag, tag, nonce.key, key, message))) % ORDER;
        uint256 s = addmod(nonce.secret, mulmod(challenge, secret, ORDER), ORDER);
        return Bip340.Signature(uint256(nonce.key), nonce.y, s);
    }

    function commitment(bytes32 key, uint64 period, uint64 revision, bytes32 hash)
        internal
        pure
        returns (RendezvousBoard.Commitment memory)
    {
        return RendezvousBoard.Commitment(key, period, revision, hash);
    }

    function signed(uint256 number, uint64 period, uint64 revision, bytes32 hash)
        internal
        view
        returns (RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_)
    {
        (uint256 secret, bytes32 key) = blinded(number);
        made = commitment(key, period, revision, hash);
        signature_ = sign(secret, key, board.messageOf(made));
    }

    function leafOf(RendezvousBoard.Commitment memory made, Bip340.Signature memory signature_)
        internal
        pure
        returns (bytes32)
    {
        bytes memory packed = abi.encode(
            made.blindedKey, uint256(made.period), uint256(made.revision), made.hash, signature_.rx, signature_.s
        );
        return keccak256(abi.encodePacked(keccak256(packed)));
    }

    function evenPair(uint256 seed) internal view returns (KeyPair memory) {
        uint256 secret = seed % (ORDER - 1) + 1;
        (uint256 x, uint256 y) = Secp256k1.multiply(secret);
        return y & 1 == 1 ? KeyPair(ORDER - secret, bytes32(x), FIELD - y) : KeyPair(secret, bytes32(x), y);
    }
}
