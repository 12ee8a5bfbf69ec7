// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title The network identifier of a chain network
/// @dev sha256("psp/net/1" || mode 1 || chain id u64 || registry 20 || genesis hash 32), as in the identity package.
library NetworkId {
    bytes private constant LABEL = "psp/net/1";
    uint8 private constant CHAIN_MODE = 1;

    function compute(address registry, bytes32 genesisHash) internal view returns (bytes32) {
        uint64 chainId = SafeCast.toUint64(block.chainid);
        return sha256(abi.encodePacked(LABEL, CHAIN_MODE, chainId, registry, genesisHash));
    }
}
