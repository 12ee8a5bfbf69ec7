// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRelayRegistry} from "../../../contracts/IRelayRegistry.sol";
import {RelayRegistry} from "../../../contracts/RelayRegistry.sol";
import {RelayFixture} from "./RelayFixture.sol";
import {TreeModel} from "./TreeModel.sol";

/// Operators, reporters and strangers who do anything in any order, beside a model that knows what must happen.
/// Each action says beforehand whether it is to succeed; a surprise reverts and so fails the run.
contract RelayHandler is RelayFixture {
    using TreeModel for TreeModel.Tree;

    uint256 public constant OPERATORS = 3;
    uint256 public constant NAMES = 12;
    uint256 public constant REPORTERS = 3;
    uint256 private constant KEYS = 3;

    struct Position {
        uint96 stake;
        uint64 unlockAt;
        bool inTree;
        bool slashed;
        uint96 leafStake;
        uint256 slot;
        IRelayRegistry.Entry entry;
        uint256 paidIn;
        uint256 paidOut;
        uint256 lost;
    }

    struct Evidence {
        IRelayRegistry.Statement statement;
        bytes signature;
        bytes32 otherHash;
        bytes otherSignature;
        bool proves;
    }

    mapping(uint256 name => Position) private _positions;
    mapping(uint256 name => mapping(uint256 key => uint64)) private _until;
    mapping(uint256 slot => bool) private _taken;
    mapping(uint256 epoch => bytes32) private _seen;
    mapping(address reporter => uint256) public rewards;
    uint256 public burned;
    /// How often each action came through: an invariant over calls that all fail would say nothing.
    mapping(bytes4 action => uint256) public done;

    constructor() {
        deployRegistry();
        observe();
    }

    function target() external view returns (RelayRegistry) {
        return registry;
    }

    function position(uint256 name) external view returns (Position memory) {
        return _positions[name];
    }

    function modelRoot() external view returns (bytes32) {
        return tree.root();
    }

    function operatorOf(uint256 name) public pure returns (address) {
        return address(uint160(0x1000 + name % OPERATORS));
    }

    function reporterOf(uint256 who) public pure returns (address) {
        return address(uint160(0x2000 + who % REPORTERS));
    }

    function relayOf(uint256 name) public pure returns (bytes32) {
        return relayId(name / OPERATORS);
    }

    // --- actions

    function wait(uint256 time) external {
        vm.warp(block.timestamp + within(time, 1, 2 * EPOCH));
        observe();
    }

    function sleep(uint256 epochs) external {
        vm.warp(block.timestamp + within(epochs, TERM / 2, 2 * TERM + 3) * EPOCH);
        observe();
    }

    function register(uint256 name, uint256 slot, uint96 stake, uint256 term, uint256 key) external {
        name %= NAMES;
        slot = within(slot, 0, 31) * 132; // far from each other in the tree
        stake = uint96(within(stake, STAKE - 1, 3 * STAKE));
        Position storage p = _positions[name];
        IRelayRegistry.Registration memory asked = wish(name, term, key % KEYS);
        bytes32[12] memory siblings = tree.siblings(slot);
        vm.deal(operatorOf(name), stake);
        vm.prank(operatorOf(name));
        try registry.register{value: stake}(asked, slot, siblings) {
            assertTrue(p.stake == 0 && !p.slashed && !_taken[slot] && stake >= STAKE, "register was to fail");
            (p.stake, p.unlockAt, p.slot, p.paidIn) = (stake, 0, slot, p.paidIn + stake);
            place(name, entry(asked, actsFrom()));
            _until[name][key % KEYS] = IN_USE;
            done[msg.sig] += 1;
        } catch {
            assertTrue(p.stake != 0 || p.slashed || _taken[slot] || stake < STAKE, "register was to succeed");
        }
        observe();
    }

    function renew(uint256 name, uint256 who, uint96 added, uint256 term, uint256 key) external {
        name %= NAMES;
        added = uint96(within(added, 0, STAKE));
        Position storage p = _positions[name];
        IRelayRegistry.Registration memory asked = wish(name, term, key % KEYS);
        bytes32[12] memory siblings = tree.siblings(p.slot);
        vm.deal(operatorOf(who), added);
        vm.prank(operatorOf(who));
        try registry.renew{value: added}(asked, p.entry, p.slot, siblings) {
            assertTrue(owns(who, name) && active(p), "renew was to fail");
            endKey(name, key % KEYS);
            (p.stake, p.paidIn) = (p.stake + added, p.paidIn + added);
            bool lapsed = p.entry.toEpoch + 1 < actsFrom();
            place(name, entry(asked, lapsed ? actsFrom() : p.entry.fromEpoch));
            done[msg.sig] += 1;
        } catch {
            assertTrue(!owns(who, name) || !active(p), "renew was to succeed");
        }
        observe();
    }

    function exit(uint256 name, uint256 who) external {
        name %= NAMES;
        Position storage p = _positions[name];
        bytes32[12] memory siblings = tree.siblings(p.slot);
        vm.prank(operatorOf(who));
        try registry.exit(p.entry, p.slot, siblings) {
            assertTrue(owns(who, name) && active(p), "exit was to fail");
            unbond(name);
            done[msg.sig] += 1;
        } catch {
            assertTrue(!owns(who, name) || !active(p), "exit was to succeed");
        }
        observe();
    }

    function clear(uint256 name, uint96 amount) external {
        name %= NAMES;
        Position storage p = _positions[name];
        if (amount % 4 != 0) amount = p.leafStake;
        bytes32[12] memory siblings = tree.siblings(p.slot);
        bool due = p.slashed || uint256(p.entry.toEpoch) + TERM < registry.epoch();
        bool right = p.inTree && due && amount == p.leafStake;
        try registry.clear(operatorOf(name), p.entry, amount, p.slot, siblings) {
            assertTrue(right, "clear was to fail");
            if (p.slashed) (p.inTree, _taken[p.slot]) = (false, false);
            else unbond(name);
            done[msg.sig] += 1;
        } catch {
            assertTrue(!right, "clear was to succeed");
        }
        observe();
    }

    function withdraw(uint256 name, uint256 who) external {
        name %= NAMES;
        Position storage p = _positions[name];
        bool right = owns(who, name) && p.stake != 0 && p.unlockAt != 0 && block.timestamp >= p.unlockAt;
        uint256 before = operatorOf(who).balance;
        vm.prank(operatorOf(who));
        try registry.withdraw(relayOf(name)) {
            // Who withdraws an entry of his own with the same relay id is looked at under that name.
            assertTrue(right || !owns(who, name), "withdraw was to fail");
            settle(who % OPERATORS + name / OPERATORS * OPERATORS, operatorOf(who).balance - before);
            done[msg.sig] += 1;
        } catch {
            assertTrue(!right, "withdraw was to succeed");
        }
        observe();
    }

    function slash(uint256 name, uint256 key, uint256 age, bool contradicts, uint256 who) external {
        name %= NAMES;
        Evidence memory e = evidence(name, key % (KEYS + 1), age, contradicts); // the last key was never anybody's
        address reporter = reporterOf(who);
        vm.prank(reporter);
        try registry.slash(operatorOf(name), e.statement, e.signature, e.otherHash, e.otherSignature) {
            assertTrue(e.proves, "slash was to fail");
            forfeit(_positions[name], reporter);
            done[msg.sig] += 1;
        } catch {
            assertTrue(!e.proves, "slash was to succeed");
        }
        observe();
    }

    function collect(uint256 who) external {
        address reporter = reporterOf(who);
        uint256 before = reporter.balance;
        vm.prank(reporter);
        try registry.withdrawReward() {
            assertTrue(rewards[reporter] != 0, "collect was to fail");
            assertEq(reporter.balance - before, rewards[reporter], "the reward");
            rewards[reporter] = 0;
            done[msg.sig] += 1;
        } catch {
            assertTrue(rewards[reporter] == 0, "collect was to succeed");
        }
        observe();
    }

    // --- the model

    function wish(uint256 name, uint256 term, uint256 key)
        private
        view
        returns (IRelayRegistry.Registration memory asked)
    {
        asked = request(name / OPERATORS, uint64(actsFrom() + within(term, 0, TERM)));
        asked.signKey = vm.addr(signingKey(key));
    }

    function evidence(uint256 name, uint256 key, uint256 age, bool contradicts)
        private
        view
        returns (Evidence memory made)
    {
        uint256 span = registry.EVIDENCE_EPOCHS();
        uint64 epoch = uint64(registry.epoch() + 3 - within(age, 0, span + 4));
        made.statement = IRelayRegistry.Statement(relayOf(name), epoch, 0, "one");
        made.otherHash = contradicts ? bytes32("two") : bytes32("one");
        made.signature = signStatement(signingKey(key), made.statement);
        IRelayRegistry.Statement memory other = IRelayRegistry.Statement(relayOf(name), epoch, 0, made.otherHash);
        made.otherSignature = signStatement(signingKey(key), other);
        bool counts = epoch + span >= registry.epoch() && epoch < _until[name][key];
        made.proves = _positions[name].stake != 0 && contradicts && counts;
    }

    function forfeit(Position storage p, address reporter) private {
        uint256 reward = p.stake / 20;
        rewards[reporter] += reward;
        burned += p.stake - reward;
        (p.lost, p.stake, p.slashed) = (p.lost + p.stake, 0, true);
    }

    function owns(uint256 who, uint256 name) private pure returns (bool) {
        return operatorOf(who) == operatorOf(name);
    }

    function active(Position storage p) private view returns (bool) {
        return p.stake != 0 && p.unlockAt == 0 && !p.slashed;
    }

    function place(uint256 name, IRelayRegistry.Entry memory made) private {
        Position storage p = _positions[name];
        (p.entry, p.inTree, p.leafStake, _taken[p.slot]) = (made, true, p.stake, true);
    }

    function endKey(uint256 name, uint256 next) private {
        address old = _positions[name].entry.signKey;
        for (uint256 key = 0; key < KEYS; ++key) {
            if (vm.addr(signingKey(key)) == old && key != next) _until[name][key] = actsFrom();
        }
        _until[name][next] = IN_USE;
    }

    function unbond(uint256 name) private {
        Position storage p = _positions[name];
        for (uint256 key = 0; key < KEYS; ++key) {
            if (vm.addr(signingKey(key)) == p.entry.signKey) _until[name][key] = actsFrom();
        }
        (p.inTree, _taken[p.slot], p.unlockAt) = (false, false, actsFrom() * EPOCH + UNBONDING);
    }

    function settle(uint256 name, uint256 paid) private {
        Position storage p = _positions[name];
        assertTrue(paid == p.stake && p.unlockAt != 0 && block.timestamp >= p.unlockAt, "paid what was locked");
        (p.stake, p.unlockAt, p.paidOut) = (0, 0, p.paidOut + paid);
    }

    /// Whatever happened: who follows the events and who asks the contract see one root, and ever the same.
    function observe() private {
        followEvents();
        uint256 now_ = registry.epoch();
        for (uint256 epoch = now_ - 1; epoch <= now_ + 1; ++epoch) {
            bytes32 root = registry.rootFor(epoch);
            assertEq(root, derivedRoot(epoch), "the events give another root");
            if (_seen[epoch] == 0) _seen[epoch] = root;
            assertEq(root, _seen[epoch], "an earlier reader saw another root");
        }
    }
}
