// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bip340} from "../../contracts/Bip340.sol";
import {BoardFixture} from "./helpers/BoardFixture.sol";

/// What the precompile is asked, and what must never pass. The published vectors are run from tests/system/contracts.
contract Bip340Test is BoardFixture {
    uint256 internal secret;
    bytes32 internal key;

    function setUp() public {
        (secret, key) = blinded(1);
    }

    function verify(bytes32 key_, bytes32 message, Bip340.Signature calldata signature_) external pure returns (bool) {
        return Bip340.verify(key_, message, signature_);
    }

    function check(bytes32 key_, bytes32 message, Bip340.Signature memory signature_) internal view returns (bool) {
        return this.verify(key_, message, signature_);
    }

    function testFuzz_everySignatureVerifies(uint256 number, bytes32 message) public view {
        (uint256 secret_, bytes32 key_) = blinded(number);
        assertTrue(check(key_, message, sign(secret_, key_, message)), "valid");
    }

    function testFuzz_anotherMessageKeyOrSignatureDoesNot(bytes32 message, uint256 flip, uint8 where) public view {
        vm.assume(flip != 0);
        Bip340.Signature memory made = sign(secret, key, message);
        assertTrue(!check(key, message ^ bytes32(flip), made), "message");
        assertTrue(!check(key ^ bytes32(flip), message, made), "key");
        if (where % 3 == 0) made.rx ^= flip;
        if (where % 3 == 1) made.ry ^= flip;
        if (where % 3 == 2) made.s ^= flip;
        assertTrue(!check(key, message, made), "signature");
    }

    function test_theOddYOfANonceIsRefused() public view {
        Bip340.Signature memory made = sign(secret, key, "message");
        made.ry = FIELD - made.ry;
        assertTrue(!check(key, "message", made), "odd");
    }

    function test_numbersThatAreNotReducedAreRefused() public view {
        Bip340.Signature memory made = sign(secret, key, "message");
        Bip340.Signature memory other = Bip340.Signature(made.rx, made.ry, made.s);
        other.s = ORDER;
        assertTrue(!check(key, "message", other), "s of the order");
        other = Bip340.Signature(FIELD, made.ry, made.s);
        assertTrue(!check(key, "message", other), "x of the field");
        other = Bip340.Signature(made.rx, FIELD + 1, made.s);
        assertTrue(!check(key, "message", other), "y of the field");
        assertTrue(!check(bytes32(ORDER), "message", made), "key of the order");
        assertTrue(!check(bytes32(0), "message", made), "no key");
        assertTrue(!check(bytes32(uint256(5)), "message", made), "x = 5 is on no point");
    }

    /// A signer that keeps a nonce with an odd y makes what fits the equation, and is still no BIP-340 signature.
    function test_aNonceWithAnOddYIsRefused() public view {
        KeyPair memory nonce = evenPair(7);
        bytes32 tag = sha256("BIP0340/challenge");
        uint256 challenge = uint256(sha256(abi.encode(tag, tag, nonce.key, key, bytes32("message")))) % ORDER;
        uint256 product = mulmod(challenge, secret, ORDER);
        uint256 s = addmod(nonce.secret, product, ORDER);
        assertTrue(check(key, "message", Bip340.Signature(uint256(nonce.key), nonce.y, s)), "even");
        s = addmod(ORDER - nonce.secret, product, ORDER);
        assertTrue(!check(key, "message", Bip340.Signature(uint256(nonce.key), FIELD - nonce.y, s)), "odd");
    }

    function test_onlyReducedEvenPointsOfTheCurveArePoints() public view {
        KeyPair memory pair = evenPair(7);
        (uint256 x, uint256 y) = (uint256(pair.key), pair.y);
        assertTrue(Bip340.isEvenPoint(x, y), "a point");
        assertTrue(!Bip340.isEvenPoint(x, FIELD - y), "odd");
        assertTrue(!Bip340.isEvenPoint(x, y ^ 2), "off the curve");
        assertTrue(!Bip340.isEvenPoint(x ^ 2, y), "off the curve");
        // x = 1 has y^2 = 8; unreduced it is another number of 256 bits for the same point.
        uint256 one = 0x4218F20AE6C646B363DB68605822FB14264CA8D2587FDD6FBC750D587E76A7EE;
        assertTrue(Bip340.isEvenPoint(1, one), "reduced");
        assertTrue(!Bip340.isEvenPoint(FIELD + 1, one), "x not reduced");
        assertTrue(!Bip340.isEvenPoint(0, 0), "no point");
    }

    /// Without the curve's equation, ry would be free: here it is chosen so that only that equation fails.
    function test_aNonceThatIsNoPointIsRefused() public view {
        Bip340.Signature memory made = sign(secret, key, "message");
        made.ry ^= 2;
        assertTrue(made.ry & 1 == 0 && made.ry < FIELD, "even and reduced");
        assertTrue(!check(key, "message", made), "no point");
    }

    function test_zeroSIsTakenAsAnyOther() public view {
        Bip340.Signature memory made = sign(secret, key, "message");
        made.s = 0;
        assertTrue(!check(key, "message", made), "another point");
    }
}
