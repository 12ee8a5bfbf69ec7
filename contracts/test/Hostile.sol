// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {RelayRegistry} from "../RelayRegistry.sol";
import {TREE_DEPTH} from "../RelayTree.sol";

/// @title An operator whose contract takes no payments
/// @dev For tests only.
contract RefusingOperator {
    RelayRegistry internal immutable REGISTRY;

    constructor(RelayRegistry registry) payable {
        REGISTRY = registry;
    }

    /// @notice Registers a relay with all that it has.
    function register(RelayRegistry.Registration calldata request, uint256 slot, bytes32[TREE_DEPTH] calldata siblings)
        external
    {
        REGISTRY.register{value: address(this).balance}(request, slot, siblings);
    }

    /// @notice Leaves with a relay.
    function exit(RelayRegistry.Entry calldata current, uint256 slot, bytes32[TREE_DEPTH] calldata siblings) external {
        REGISTRY.exit(current, slot, siblings);
    }

    /// @notice Takes the stake.
    function withdraw(bytes32 relayId) external {
        REGISTRY.withdraw(relayId);
    }

    /// @notice Slashes and takes the reward.
    function slashAndCollect(
        address operator,
        RelayRegistry.Statement calldata first,
        bytes calldata firstSignature,
        bytes32 secondHash,
        bytes calldata secondSignature
    ) external {
        REGISTRY.slash(operator, first, firstSignature, secondHash, secondSignature);
        REGISTRY.withdrawReward();
    }
}

/// @title An operator that comes back into the registry while it is paid
/// @dev For tests only.
contract ReentrantOperator is RefusingOperator {
    bytes32 private immutable RELAY;
    /// @notice Times that it was paid.
    uint256 public payments;
    /// @notice Times that coming back worked.
    uint256 public successes;

    constructor(RelayRegistry registry, bytes32 relayId) payable RefusingOperator(registry) {
        RELAY = relayId;
    }

    receive() external payable {
        payments += 1;
        (bool again,) = address(REGISTRY).call(abi.encodeCall(REGISTRY.withdraw, (RELAY)));
        (bool reward,) = address(REGISTRY).call(abi.encodeCall(REGISTRY.withdrawReward, ()));
        if (again || reward) successes += 1;
    }
}

/// @title A wallet that burns all the gas that it is given
/// @dev For tests only.
contract BurningWallet is IERC1271 {
    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata) external pure returns (bytes4) {
        while (true) {
            hash = keccak256(abi.encode(hash));
        }
        return bytes4(hash);
    }
}

/// @title A wallet that answers with what nobody asked for: a megabyte, one byte, or a revert
/// @dev For tests only.
contract BabblingWallet is IERC1271 {
    uint256 private immutable SIZE;
    bool private immutable REVERTS;

    constructor(uint256 size, bool reverts) {
        SIZE = size;
        REVERTS = reverts;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        (uint256 size, bool reverts) = (SIZE, REVERTS);
        bytes4 magic = IERC1271.isValidSignature.selector;
        assembly ("memory-safe") {
            mstore(0, magic)
            if reverts { revert(0, size) }
            return(0, size)
        }
    }
}
