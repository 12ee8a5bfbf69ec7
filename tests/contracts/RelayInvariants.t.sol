// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRelayRegistry} from "../../contracts/IRelayRegistry.sol";
import {RelayRegistry} from "../../contracts/RelayRegistry.sol";
import {RelayHandler} from "./helpers/RelayHandler.sol";
import {TestBase} from "./helpers/Vm.sol";

/// What holds after any actions of anybody. That no root of an epoch in use ever changes (I3), that all readers of an
/// epoch derive one root, and that nobody but the operator moves a stake (I8) is checked by the handler at each step.
contract RelayInvariantsTest is TestBase {
    RelayHandler internal handler;
    RelayRegistry internal registry;

    function setUp() public {
        handler = new RelayHandler();
        registry = handler.target();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_registry() public view {
        rootIsThatOfTheEvents();
        uint256 staked = stakesAreThoseOfTheModel();
        balanceIsWhatIsOwed(staked);
    }

    /// Enough of each action comes through, so that the invariant speaks of more than an empty registry.
    function test_theHandlerReachesEveryState() public {
        for (uint256 i = 0; i < 3_000; ++i) {
            step(uint256(keccak256(abi.encode("step", i))));
        }
        invariant_registry();
        bytes4[7] memory actions = [
            handler.register.selector,
            handler.renew.selector,
            handler.exit.selector,
            handler.clear.selector,
            handler.withdraw.selector,
            handler.slash.selector,
            handler.collect.selector
        ];
        for (uint256 i = 0; i < actions.length; ++i) {
            assertTrue(handler.done(actions[i]) >= 3, "an action hardly ever comes through");
        }
    }

    function step(uint256 seed) private {
        uint256 action = seed % 128;
        (uint256 a, uint256 b, uint256 c) = (seed >> 8, seed >> 64, seed >> 128);
        if (action < 40) handler.register(a, b, uint96(c), c, a >> 4);
        else if (action < 68) handler.renew(a, b, uint96(c), c, b >> 4);
        else if (action < 76) handler.exit(a, b);
        else if (action < 84) handler.clear(a, uint96(b));
        else if (action < 100) handler.withdraw(a, b);
        else if (action < 101) handler.slash(a, b, c, true, a);
        else if (action < 104) handler.collect(a);
        else if (action < 125) handler.wait(a);
        else handler.sleep(a);
    }

    /// I2: the root is the one that the events give.
    function rootIsThatOfTheEvents() private view {
        assertEq(registry.latestRoot(), handler.modelRoot(), "root");
    }

    /// The contract's stakes are the model's; I7: what was slashed is never paid back, the name never comes back.
    function stakesAreThoseOfTheModel() private view returns (uint256 staked) {
        for (uint256 name = 0; name < handler.NAMES(); ++name) {
            RelayHandler.Position memory p = handler.position(name);
            IRelayRegistry.Stake memory stake = registry.stakeOf(handler.operatorOf(name), handler.relayOf(name));
            assertEq(stake.amount, p.stake, "amount");
            assertEq(stake.unlockAt, p.slashed ? type(uint64).max : p.unlockAt, "unlock");
            assertEq(p.paidIn, p.paidOut + p.stake + p.lost, "the name's account");
            if (p.slashed) assertEq(stake.amount, 0, "slashed, and something is left");
            staked += stake.amount;
        }
    }

    /// I1: the contract holds the stakes, the rewards that were not taken, and what was burned. No more, no less.
    function balanceIsWhatIsOwed(uint256 staked) private view {
        uint256 owed = staked + handler.burned();
        for (uint256 i = 0; i < handler.REPORTERS(); ++i) {
            address reporter = handler.reporterOf(i);
            assertEq(registry.rewardOf(reporter), handler.rewards(reporter), "reward");
            owed += handler.rewards(reporter);
        }
        assertEq(address(registry).balance, owed, "balance");
    }
}
