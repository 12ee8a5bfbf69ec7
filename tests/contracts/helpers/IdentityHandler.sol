// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IdentityRegistry} from "../../../contracts/IdentityRegistry.sol";
import {RelayRegistry} from "../../../contracts/RelayRegistry.sol";
import {IdentityFixture} from "./IdentityFixture.sol";

/// Accounts that list, revoke and sign for relayers, and a thief who replays whatever was ever signed, everywhere.
contract IdentityHandler is IdentityFixture {
    uint256 public constant ACCOUNTS = 3;
    uint256 public constant DEVICES = 4;

    struct Used {
        IdentityRegistry.SetIdentity request;
        bytes signature;
    }

    IdentityRegistry private _second;
    IdentityRegistry private _elsewhere;
    Used[] private _used;
    mapping(address account => mapping(bytes32 device => bool)) public revoked;
    mapping(address account => uint64) public watermark;
    mapping(bytes4 action => uint256) public done;

    constructor() {
        deployIdentities();
        _second = newIdentities(RelayRegistry(address(identities.ANCHOR())));
        _elsewhere = newIdentities(newAnchor());
    }

    function target() external view returns (IdentityRegistry) {
        return identities;
    }

    function accountOf(uint256 who) public pure returns (address) {
        return vm.addr(who % ACCOUNTS + 1);
    }

    function deviceOf(uint256 device) public pure returns (bytes32) {
        return bytes32(device % DEVICES + 1);
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + within(time, 1, 1 days));
    }

    function list(uint256 who, bytes32 key) external {
        vm.prank(accountOf(who));
        identities.setIdentity(key);
        checkListed(accountOf(who), key);
    }

    function listRelayed(uint256 who, bytes32 key, uint192 nonceKey, uint256 deadline) external {
        address account = accountOf(who);
        deadline = within(deadline, block.timestamp, block.timestamp + 2 days);
        uint256 nonce = identities.nonces(account, nonceKey % 3);
        Used memory used;
        used.request = IdentityRegistry.SetIdentity(account, key, nonce, deadline);
        used.signature = signature(who % ACCOUNTS + 1, setDigest(identities, used.request));
        identities.setIdentityFor(used.request, used.signature);
        checkListed(account, key);
        _used.push(used);
        done[msg.sig] += 1;
    }

    function revokeBefore(uint256 who, uint64 time) external {
        address account = accountOf(who);
        time = uint64(within(time, block.timestamp - 2 days, block.timestamp + 1));
        vm.prank(account);
        try identities.revokeBefore(time) {
            assertTrue(time > watermark[account] && time <= block.timestamp, "revocation was to fail");
            watermark[account] = time;
            done[msg.sig] += 1;
        } catch {
            assertTrue(time <= watermark[account] || time > block.timestamp, "revocation was to succeed");
        }
    }

    function revokeDevice(uint256 who, uint256 device) external {
        (address account, bytes32 key) = (accountOf(who), deviceOf(device));
        vm.prank(account);
        try identities.revokeDevice(key) {
            assertTrue(!revoked[account][key], "revocation was to fail");
            revoked[account][key] = true;
            done[msg.sig] += 1;
        } catch {
            assertTrue(revoked[account][key], "revocation was to succeed");
        }
    }

    function cancel(uint256 who, uint192 nonceKey) external {
        vm.prank(accountOf(who));
        identities.cancelNonce(nonceKey % 3);
    }

    /// I6: no signature works twice, nor at another contract, in another network, or for another account.
    function replay(uint256 which, uint256 who) external {
        if (_used.length == 0) return;
        Used memory used = _used[which % _used.length];
        mustFail(identities, used);
        mustFail(_second, used);
        mustFail(_elsewhere, used);
        used.request.nonce = identities.nonces(used.request.account, uint192(used.request.nonce >> 64));
        mustFail(identities, used);
        used.request.account = accountOf(who);
        mustFail(identities, used);
        done[msg.sig] += 1;
    }

    function mustFail(IdentityRegistry where, Used memory used) private {
        try where.setIdentityFor(used.request, used.signature) {
            revert NotTrue("a replay was to fail");
        } catch {}
    }

    function checkListed(address account, bytes32 key) private view {
        IdentityRegistry.Identity memory found = identities.identityOf(account);
        assertEq(found.identityKey, key, "the key");
        assertTrue(found.issued > watermark[account], "what is listed now counts");
        assertTrue(found.issued <= block.timestamp + 1, "not from the future");
    }
}
