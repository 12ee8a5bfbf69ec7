// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DevENS} from "../../contracts/test/DevENS.sol";
import {TestBase} from "./helpers/Vm.sol";

/// Names on a devnet resolve both ways.
contract DevENSTest is TestBase {
    address internal constant ALICE = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;
    bytes32 internal constant ETH = 0x93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae;
    bytes32 internal constant ALICE_ETH = 0x787192fc5378cc32aa956ddfdedbf26b24e8d78e40109add0eea2c1a012c3dec;

    DevENS internal ens;

    function setUp() public {
        ens = new DevENS();
        assertEq(ens.setSubnodeOwner(0, keccak256("eth"), address(this)), ETH, "namehash of eth");
        assertEq(ens.setSubnodeOwner(ETH, keccak256("alice"), ALICE), ALICE_ETH, "namehash of alice.eth");
    }

    function test_forward() public {
        assertEq(ens.resolver(ALICE_ETH), address(ens), "its own resolver");
        assertEq(ens.resolver("nobody"), address(0), "none");
        vm.expectEmit();
        emit DevENS.AddrChanged(ALICE_ETH, ALICE);
        vm.prank(ALICE);
        ens.setAddr(ALICE_ETH, ALICE);
        assertEq(ens.addr(ALICE_ETH), ALICE, "resolved");
        vm.prank(ALICE);
        ens.setText(ALICE_ETH, "psp", "v=1");
        assertEq(keccak256(bytes(ens.text(ALICE_ETH, "psp"))), keccak256("v=1"), "text");
    }

    function test_reverse() public {
        vm.prank(ALICE);
        bytes32 node = ens.setName("alice.eth");
        // namehash("f39fd6e51aad88f6f4ce6ab8827279cfffb92266.addr.reverse")
        bytes32 label = keccak256("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
        bytes32 parent = 0x91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2;
        assertEq(node, keccak256(abi.encode(parent, label)), "node");
        assertEq(keccak256(bytes(ens.name(node))), keccak256("alice.eth"), "name");
        assertEq(ens.owner(node), ALICE, "its own");
    }

    function test_strangersChangeNothing() public {
        bytes memory reason = abi.encodeWithSelector(DevENS.DevENSNotOwner.selector, ALICE_ETH);
        vm.expectRevert(reason);
        ens.setAddr(ALICE_ETH, address(this));
        vm.expectRevert(reason);
        ens.setText(ALICE_ETH, "psp", "x");
        vm.expectRevert(reason);
        ens.setSubnodeOwner(ALICE_ETH, "x", address(this));
    }

    function test_interfaces() public view {
        assertTrue(ens.supportsInterface(0x01ffc9a7) && ens.supportsInterface(0x3b3b57de), "ERC-165, addr");
        assertTrue(ens.supportsInterface(0x691f3431) && ens.supportsInterface(0x59d1d43c), "name, text");
        assertTrue(!ens.supportsInterface(0xffffffff), "not all");
    }
}
