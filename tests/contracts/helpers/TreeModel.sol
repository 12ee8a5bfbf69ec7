// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {TREE_DEPTH} from "../../../contracts/RelayTree.sol";

/// The relay tree with every node kept, as who follows the events keeps it: no siblings are believed here.
library TreeModel {
    struct Tree {
        mapping(uint256 height => mapping(uint256 place => bytes32)) nodes;
        mapping(uint256 height => mapping(uint256 place => bool)) touched;
    }

    function set(Tree storage tree, uint256 slot, bytes32 leaf) internal {
        tree.nodes[0][slot] = leaf;
        tree.touched[0][slot] = true;
        for (uint256 height = 0; height < TREE_DEPTH; ++height) {
            uint256 parent = slot >> 1;
            bytes32 left = node(tree, height, parent * 2);
            bytes32 right = node(tree, height, parent * 2 + 1);
            tree.nodes[height + 1][parent] = keccak256(abi.encodePacked(left, right));
            tree.touched[height + 1][parent] = true;
            slot = parent;
        }
    }

    function root(Tree storage tree) internal view returns (bytes32) {
        return node(tree, TREE_DEPTH, 0);
    }

    function siblings(Tree storage tree, uint256 slot) internal view returns (bytes32[TREE_DEPTH] memory found) {
        for (uint256 height = 0; height < TREE_DEPTH; ++height) {
            found[height] = node(tree, height, (slot >> height) ^ 1);
        }
    }

    function node(Tree storage tree, uint256 height, uint256 place) internal view returns (bytes32) {
        return tree.touched[height][place] ? tree.nodes[height][place] : empty(height);
    }

    function empty(uint256 height) internal pure returns (bytes32 value) {
        for (uint256 i = 0; i < height; ++i) {
            value = keccak256(abi.encodePacked(value, value));
        }
    }
}
