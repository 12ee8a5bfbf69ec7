// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the other contracts of a network need from its anchor
interface INetworkAnchor {
    /// @notice The 32 bytes that tie every signature to this network.
    function networkId() external view returns (bytes32);

    /// @notice Length of an epoch in seconds; epoch = block.timestamp / EPOCH_S.
    function EPOCH_S() external view returns (uint64);
}
