// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A name service for devnets: registry, registrar and resolver in one
/// @notice The subset of the ENS registry's and the public resolver's ABI that forward and reverse resolution use.
/// The deployer owns the root; an owner gives subnodes away. Reverse nodes are claimed by their account.
/// @dev For devnets and tests only.
contract DevENS {
    bytes4 private constant ERC165 = 0x01ffc9a7;
    bytes4 private constant ADDR = 0x3b3b57de;
    bytes4 private constant NAME = 0x691f3431;
    bytes4 private constant TEXT = 0x59d1d43c;
    // namehash("addr.reverse")
    bytes32 private constant REVERSE_NODE = 0x91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2;

    /// @notice Owner of a node.
    mapping(bytes32 node => address) public owner;
    /// @notice Address that a node resolves to.
    mapping(bytes32 node => address) public addr;
    /// @notice Name of a reverse node.
    mapping(bytes32 node => string) public name;
    mapping(bytes32 node => mapping(string key => string)) private _texts;

    /// @notice A node has another owner.
    event NewOwner(bytes32 indexed node, bytes32 indexed label, address owner);
    /// @notice A node resolves to another address.
    event AddrChanged(bytes32 indexed node, address a);
    /// @notice A reverse node has another name.
    event NameChanged(bytes32 indexed node, string name);
    /// @notice A node has another text.
    event TextChanged(bytes32 indexed node, string indexed indexedKey, string key, string value);

    /// @notice The sender does not own the node.
    error DevENSNotOwner(bytes32 node);

    modifier onlyOwner(bytes32 node) {
        if (owner[node] != msg.sender) revert DevENSNotOwner(node);
        _;
    }

    constructor() {
        owner[0] = msg.sender;
    }

    /// @notice Gives a subnode to an owner.
    /// @param node The sender's node above it.
    /// @param label keccak256 of the subnode's label.
    /// @param newOwner Who gets it.
    /// @return subnode Its namehash.
    function setSubnodeOwner(bytes32 node, bytes32 label, address newOwner)
        external
        onlyOwner(node)
        returns (bytes32 subnode)
    {
        subnode = keccak256(abi.encode(node, label));
        owner[subnode] = newOwner;
        emit NewOwner(node, label, newOwner);
    }

    /// @notice Sets the address of a node of the sender.
    /// @param node Its namehash.
    /// @param a The address.
    function setAddr(bytes32 node, address a) external onlyOwner(node) {
        addr[node] = a;
        emit AddrChanged(node, a);
    }

    /// @notice Sets a text of a node of the sender.
    /// @param node Its namehash.
    /// @param key What the text is.
    /// @param value The text.
    function setText(bytes32 node, string calldata key, string calldata value) external onlyOwner(node) {
        _texts[node][key] = value;
        emit TextChanged(node, key, key, value);
    }

    /// @notice Names the sender's own reverse node.
    /// @param newName The name.
    /// @return node Its namehash.
    function setName(string calldata newName) external returns (bytes32 node) {
        node = reverseNode(msg.sender);
        owner[node] = msg.sender;
        name[node] = newName;
        emit NameChanged(node, newName);
    }

    /// @notice The resolver of a node: this contract, for nodes that somebody owns.
    /// @param node Its namehash.
    function resolver(bytes32 node) external view returns (address) {
        return owner[node] == address(0) ? address(0) : address(this);
    }

    /// @notice A text of a node.
    /// @param node Its namehash.
    /// @param key What the text is.
    function text(bytes32 node, string calldata key) external view returns (string memory) {
        return _texts[node][key];
    }

    /// @notice Which interfaces the resolver has.
    /// @param id Of the interface, as ERC-165 has it.
    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == ERC165 || id == ADDR || id == NAME || id == TEXT;
    }

    /// @notice The reverse node of an account.
    /// @param account The account.
    function reverseNode(address account) public pure returns (bytes32) {
        bytes16 digits = "0123456789abcdef";
        bytes memory hexadecimal = new bytes(40);
        for (uint256 i = 0; i < 40; ++i) {
            hexadecimal[i] = digits[(uint160(account) >> (4 * (39 - i))) & 15];
        }
        return keccak256(abi.encode(REVERSE_NODE, keccak256(hexadecimal)));
    }
}
