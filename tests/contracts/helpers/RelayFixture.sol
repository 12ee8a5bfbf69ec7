// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRelayRegistry} from "../../../contracts/IRelayRegistry.sol";
import {RelayRegistry} from "../../../contracts/RelayRegistry.sol";
import {TreeModel} from "./TreeModel.sol";
import {TestBase, Vm} from "./Vm.sol";

/// A registry, and who follows its events as every reader does.
abstract contract RelayFixture is TestBase {
    using TreeModel for TreeModel.Tree;

    uint64 internal constant EPOCH = 6 hours;
    uint64 internal constant TERM = 60;
    uint64 internal constant UNBONDING = 14 days;
    uint96 internal constant STAKE = 1 ether;
    uint64 internal constant IN_USE = type(uint64).max;
    bytes32 internal constant NETWORK = keccak256("network file");
    bytes32 internal constant GENESIS = keccak256("first block");
    uint256 internal constant START = 81_018 * 6 hours;

    bytes32 private constant SET_TOPIC =
        keccak256("RelaySet(address,bytes32,uint256,(bytes32,address,bytes32,uint64,uint64),uint96,uint64,bytes)");
    bytes32 private constant REMOVED_TOPIC = keccak256("RelayRemoved(address,bytes32,uint256,uint64)");

    RelayRegistry internal registry;
    TreeModel.Tree internal tree;
    // The root after all changes that act from an epoch on, and the epochs that have one, rising.
    mapping(uint256 epoch => bytes32) internal rootFrom;
    uint256[] internal changedEpochs;

    function deployRegistry() internal {
        vm.warp(START);
        registry = new RelayRegistry(EPOCH, TERM, UNBONDING, STAKE, NETWORK, GENESIS);
        rootFrom[0] = tree.root();
        changedEpochs.push(0);
        vm.recordLogs();
    }

    /// A registration as relay number `relay` of anybody asks for.
    function request(uint256 relay, uint64 toEpoch) internal pure returns (IRelayRegistry.Registration memory) {
        return IRelayRegistry.Registration({
            relayId: relayId(relay),
            signKey: vm.addr(signingKey(relay)),
            family: bytes32(relay),
            toEpoch: toEpoch,
            possession: abi.encodePacked(keccak256(abi.encode("possession", relay)), bytes32(relay))
        });
    }

    function entry(IRelayRegistry.Registration memory asked, uint64 fromEpoch)
        internal
        pure
        returns (IRelayRegistry.Entry memory)
    {
        return IRelayRegistry.Entry(asked.relayId, asked.signKey, asked.family, fromEpoch, asked.toEpoch);
    }

    function leafOf(address operator, IRelayRegistry.Entry memory e, uint96 stake) internal pure returns (bytes32) {
        return keccak256(abi.encode(operator, e.relayId, e.signKey, e.family, stake, e.fromEpoch, e.toEpoch));
    }

    function actsFrom() internal view returns (uint64) {
        return uint64(block.timestamp / EPOCH + 2);
    }

    /// Takes the events since the last call into the tree, as a reader does: from their contents alone.
    function followEvents() internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == SET_TOPIC) {
                address operator = address(uint160(uint256(logs[i].topics[1])));
                (uint256 slot, IRelayRegistry.Entry memory e, uint96 stake, uint64 from,) =
                    abi.decode(logs[i].data, (uint256, IRelayRegistry.Entry, uint96, uint64, bytes));
                change(slot, leafOf(operator, e, stake), from);
            } else if (logs[i].topics[0] == REMOVED_TOPIC) {
                (uint256 slot, uint64 from) = abi.decode(logs[i].data, (uint256, uint64));
                change(slot, 0, from);
            }
        }
    }

    /// The root that a reader of the events derives for an epoch.
    function derivedRoot(uint256 epoch) internal view returns (bytes32) {
        uint256 i = changedEpochs.length;
        while (changedEpochs[i - 1] > epoch) --i;
        return rootFrom[changedEpochs[i - 1]];
    }

    function relayId(uint256 relay) internal pure returns (bytes32) {
        return keccak256(abi.encode("relay", relay));
    }

    function signingKey(uint256 relay) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("sign", relay))) >> 8;
    }

    function signStatement(uint256 key, IRelayRegistry.Statement memory statement)
        internal
        view
        returns (bytes memory)
    {
        return signature(key, registry.statementDigest(statement));
    }

    function change(uint256 slot, bytes32 leaf, uint256 from) private {
        tree.set(slot, leaf);
        if (changedEpochs[changedEpochs.length - 1] != from) changedEpochs.push(from);
        rootFrom[from] = tree.root();
    }
}
