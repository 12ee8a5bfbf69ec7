// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Multiples of the generator, by doubling and adding in Jacobian coordinates: for the keys of tests.
library Secp256k1 {
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 internal constant FIELD = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC2F;
    uint256 private constant GX = 0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798;
    uint256 private constant GY = 0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8;

    struct Point {
        uint256 x;
        uint256 y;
        uint256 z;
    }

    /// The affine point of a scalar from 1 to the order.
    function multiply(uint256 scalar) internal view returns (uint256 x, uint256 y) {
        Point memory sum;
        for (uint256 bit = 256; bit > 0; --bit) {
            sum = double(sum);
            if (scalar >> (bit - 1) & 1 == 1) sum = addGenerator(sum);
        }
        uint256 inverse = power(sum.z, FIELD - 2);
        uint256 square = mulmod(inverse, inverse, FIELD);
        return (mulmod(sum.x, square, FIELD), mulmod(sum.y, mulmod(square, inverse, FIELD), FIELD));
    }

    function double(Point memory p) private pure returns (Point memory) {
        if (p.z == 0) return p;
        uint256 yy = mulmod(p.y, p.y, FIELD);
        uint256 s = mulmod(4, mulmod(p.x, yy, FIELD), FIELD);
        uint256 m = mulmod(3, mulmod(p.x, p.x, FIELD), FIELD);
        uint256 x = addmod(mulmod(m, m, FIELD), FIELD - addmod(s, s, FIELD), FIELD);
        uint256 y = mulmod(m, addmod(s, FIELD - x, FIELD), FIELD);
        y = addmod(y, FIELD - mulmod(8, mulmod(yy, yy, FIELD), FIELD), FIELD);
        return Point(x, y, mulmod(2, mulmod(p.y, p.z, FIELD), FIELD));
    }

    function addGenerator(Point memory p) private pure returns (Point memory) {
        if (p.z == 0) return Point(GX, GY, 1);
        uint256 zz = mulmod(p.z, p.z, FIELD);
        uint256 h = addmod(mulmod(GX, zz, FIELD), FIELD - p.x, FIELD);
        uint256 r = addmod(mulmod(GY, mulmod(zz, p.z, FIELD), FIELD), FIELD - p.y, FIELD);
        if (h == 0 && r == 0) return double(p);
        uint256 hh = mulmod(h, h, FIELD);
        uint256 hhh = mulmod(hh, h, FIELD);
        uint256 v = mulmod(p.x, hh, FIELD);
        uint256 x = addmod(mulmod(r, r, FIELD), FIELD - addmod(hhh, addmod(v, v, FIELD), FIELD), FIELD);
        uint256 y = mulmod(r, addmod(v, FIELD - x, FIELD), FIELD);
        y = addmod(y, FIELD - mulmod(p.y, hhh, FIELD), FIELD);
        return Point(x, y, mulmod(h, p.z, FIELD));
    }

    function power(uint256 base, uint256 exponent) private view returns (uint256) {
        (bool done, bytes memory result) = address(5).staticcall(abi.encode(32, 32, 32, base, exponent, FIELD));
        require(done);
        return abi.decode(result, (uint256));
    }
}
