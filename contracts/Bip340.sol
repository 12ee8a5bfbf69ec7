// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title BIP-340 signatures over secp256k1, checked with the ecrecover precompile
/// @dev ecrecover(z, 27, r, s) gives the address of r^-1 * (s*X - z*G), where X has x = r and an even y. With r = px,
/// s = -e*px and z = -s'*px that is s'*G - e*P, the nonce point R that a valid signature (R, s') over e gives. Only
/// R's address comes out, which is why the caller brings its y.
library Bip340 {
    /// @notice A signature as BIP-340 has it, and the even y of its nonce point.
    /// @param rx The first 32 bytes of the signature.
    /// @param ry The even y that belongs to rx.
    /// @param s The last 32 bytes of the signature.
    struct Signature {
        uint256 rx;
        uint256 ry;
        uint256 s;
    }

    uint256 private constant FIELD = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    // SHA256("BIP0340/challenge")
    bytes32 private constant CHALLENGE = 0x7bb52d7a9fef58323eb1bf7a407db382d2f3f2d81bb1224f49fe518f6d48d37c;

    /// @dev Whether `signature` is one over `message` by the x-only `key`. A key that is not below the group order,
    /// one in 2^128, is refused: ecrecover does not take it.
    function verify(bytes32 key, bytes32 message, Signature calldata signature) internal pure returns (bool) {
        (uint256 rx, uint256 ry) = (signature.rx, signature.ry);
        if (uint256(key) >= ORDER || signature.s >= ORDER || !isEvenPoint(rx, ry)) return false;
        uint256 challenge = uint256(sha256(abi.encode(CHALLENGE, CHALLENGE, rx, key, message))) % ORDER;
        address nonce = ecrecover(
            bytes32(ORDER - mulmod(signature.s, uint256(key), ORDER)),
            27,
            key,
            bytes32(ORDER - mulmod(challenge, uint256(key), ORDER))
        );
        return nonce != address(0) && nonce == address(uint160(uint256(keccak256(abi.encode(rx, ry)))));
    }

    /// @dev Whether (x, y) is a point of the curve with an even y. Without the curve's equation ry would be free, and two
    /// lists of 2^80 could meet in the 160 bits of an address.
    function isEvenPoint(uint256 x, uint256 y) internal pure returns (bool) {
        if (x >= FIELD || y >= FIELD || y & 1 != 0) return false;
        return mulmod(y, y, FIELD) == addmod(mulmod(mulmod(x, x, FIELD), x, FIELD), 7, FIELD);
    }
}
