// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IdentityRegistry} from "../../contracts/IdentityRegistry.sol";
import {IdentityHandler} from "./helpers/IdentityHandler.sol";
import {TestBase} from "./helpers/Vm.sol";

/// What holds after any actions of any accounts and any replays (I6, checked by the handler at each step).
contract IdentityInvariantsTest is TestBase {
    IdentityHandler internal handler;
    IdentityRegistry internal identities;

    function setUp() public {
        handler = new IdentityHandler();
        identities = handler.target();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// I4: the watermark only rises, as the model's does. I5: what was revoked never counts again.
    function invariant_revokedIsRevokedForEver() public view {
        for (uint256 who = 0; who < handler.ACCOUNTS(); ++who) {
            address account = handler.accountOf(who);
            uint64 watermark = handler.watermark(account);
            assertEq(identities.identityOf(account).revokedBefore, watermark, "watermark");
            assertTrue(watermark <= block.timestamp, "never in the future");
            assertTrue(identities.isRevoked(account, watermark), "up to it");
            assertTrue(!identities.isRevoked(account, watermark + 1), "and nothing after");
            for (uint256 device = 0; device < handler.DEVICES(); ++device) {
                bytes32 key = handler.deviceOf(device);
                assertTrue(identities.isDeviceRevoked(account, key) == handler.revoked(account, key), "devices");
            }
        }
    }

    function test_theHandlerReachesEveryState() public {
        for (uint256 i = 0; i < 200; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("step", i)));
            (uint256 a, uint256 b) = (seed >> 8, seed >> 64);
            if (seed % 6 == 0) handler.wait(a);
            else if (seed % 6 == 1) handler.listRelayed(a, bytes32(b), uint192(b), a);
            else if (seed % 6 == 2) handler.revokeBefore(a, uint64(b));
            else if (seed % 6 == 3) handler.revokeDevice(a, b);
            else if (seed % 6 == 4) handler.cancel(a, uint192(b));
            else handler.replay(a, b);
        }
        invariant_revokedIsRevokedForEver();
        bytes4[4] memory actions = [
            handler.listRelayed.selector,
            handler.revokeBefore.selector,
            handler.revokeDevice.selector,
            handler.replay.selector
        ];
        for (uint256 i = 0; i < actions.length; ++i) {
            assertTrue(handler.done(actions[i]) >= 3, "an action hardly ever comes through");
        }
    }
}
