// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IdentityRegistry} from "../../contracts/IdentityRegistry.sol";
import {SigAuth} from "../../contracts/SigAuth.sol";
import {BabblingWallet, BurningWallet} from "../../contracts/test/Hostile.sol";
import {MultiOwnerWallet, PlainDelegate, SessionDelegate, WalletFactory} from "../../contracts/test/Wallets.sol";
import {IdentityFixture} from "./helpers/IdentityFixture.sol";

/// One rule for plain accounts, contract wallets and EIP-7702 accounts, and wallets that do not behave.
contract SigAuthTest is IdentityFixture {
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    uint256 internal secondKey = uint256(keccak256("second")) >> 8;

    function setUp() public {
        deployIdentities();
    }

    function digest(address account) internal view returns (bytes32) {
        return setDigest(identities, setRequest(account, 0));
    }

    function accept(address account, bytes memory signed) internal {
        identities.setIdentityFor(setRequest(account, 0), signed);
        assertEq(identities.identityOf(account).identityKey, KEY, "set");
    }

    function refuse(address account, bytes memory signed) internal {
        vm.expectRevert(abi.encodeWithSelector(SigAuth.SigAuthInvalidSignature.selector, account));
        identities.setIdentityFor(setRequest(account, 0), signed);
    }

    function owners() internal view returns (address[] memory list, uint256 low, uint256 high) {
        list = new address[](2);
        (list[0], list[1]) = (vm.addr(ownerKey), vm.addr(secondKey));
        (low, high) = list[0] < list[1] ? (ownerKey, secondKey) : (secondKey, ownerKey);
    }

    // --- a plain account

    function test_malleableCompactAndOldSignaturesAreRefused() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(ownerKey, digest(owner));
        bytes32 high = bytes32(ORDER - uint256(s));
        refuse(owner, abi.encodePacked(r, high, v == 27 ? 28 : 27));
        refuse(owner, abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255)));
        refuse(owner, abi.encodePacked(r, s, v - 27)); // v of 0 or 1
        refuse(owner, abi.encodePacked(r, s, v, uint8(0)));
        refuse(owner, abi.encodePacked(r, s, v == 27 ? 28 : 27));
        refuse(owner, "");
        accept(owner, abi.encodePacked(r, s, v));
    }

    function test_nobodyIsTheZeroAddress() public {
        refuse(address(0), new bytes(65));
        refuse(address(0), abi.encodePacked(bytes32(uint256(1)), bytes32(uint256(1)), uint8(29)));
    }

    // --- contract wallets

    function test_aWalletOfSeveralOwners() public {
        (address[] memory list, uint256 low, uint256 high) = owners();
        MultiOwnerWallet wallet = new MultiOwnerWallet(list, 2);
        bytes32 d = digest(address(wallet));
        refuse(address(wallet), signature(low, d));
        refuse(address(wallet), bytes.concat(signature(low, d), signature(low, d)));
        refuse(address(wallet), bytes.concat(signature(high, d), signature(low, d)));
        refuse(address(wallet), bytes.concat(signature(low, d), signature(high, bytes32("other"))));
        refuse(address(wallet), bytes.concat(signature(low, d), new bytes(65)));
        accept(address(wallet), bytes.concat(signature(low, d), signature(high, d)));
    }

    function test_aFormerOwnerOfAWalletSignsNoMore() public {
        (address[] memory list,,) = owners();
        MultiOwnerWallet wallet = new MultiOwnerWallet(list, 1);
        bytes memory signed = signature(ownerKey, digest(address(wallet)));
        vm.expectRevert(abi.encodeWithSelector(MultiOwnerWallet.NotOwner.selector, address(this)));
        wallet.replaceOwner(owner, address(this));
        vm.prank(owner);
        wallet.replaceOwner(owner, vm.addr(3));
        refuse(address(wallet), signed);
        accept(address(wallet), signature(3, digest(address(wallet))));
    }

    function test_aCounterfactualWalletSignsOnceItIsDeployed() public {
        (address[] memory list,,) = owners();
        WalletFactory factory = new WalletFactory();
        address wallet = factory.addressOf(list, 1, "salt");
        bytes memory signed = signature(ownerKey, digest(wallet));
        refuse(wallet, signed); // the chain asks for the code: whoever pays deploys first
        assertEq(factory.create(list, 1, "salt"), wallet, "where it was promised");
        assertEq(factory.create(list, 1, "salt"), wallet, "once");
        accept(wallet, signed);
    }

    function test_theSignerOfAWalletIsNotTheWalletOfAnotherOwner() public {
        (address[] memory list,,) = owners();
        MultiOwnerWallet first = new MultiOwnerWallet(list, 1);
        MultiOwnerWallet second = new MultiOwnerWallet(list, 1);
        refuse(address(second), signature(ownerKey, digest(address(first))));
    }

    // --- EIP-7702

    function delegate(address account, address target) internal {
        vm.etch(account, abi.encodePacked(hex"ef0100", target));
    }

    function test_aDelegatedAccountWhoseCodeKnowsNo1271SignsByItsKey() public {
        delegate(owner, address(new PlainDelegate()));
        accept(owner, signature(ownerKey, digest(owner)));
    }

    function test_aDelegatedAccountWithASessionKeySignsByEither() public {
        delegate(owner, address(new SessionDelegate()));
        vm.prank(owner);
        SessionDelegate(owner).setSessionKey(vm.addr(secondKey));
        accept(owner, signature(secondKey, digest(owner)));
        IdentityRegistry.SetIdentity memory next = setRequest(owner, 1);
        identities.setIdentityFor(next, signature(ownerKey, setDigest(identities, next)));
    }

    function test_aSessionKeyEndsWithTheDelegation() public {
        delegate(owner, address(new SessionDelegate()));
        vm.prank(owner);
        SessionDelegate(owner).setSessionKey(vm.addr(secondKey));
        bytes memory signed = signature(secondKey, digest(owner));
        delegate(owner, address(new PlainDelegate())); // swapped between signing and sending
        refuse(owner, signed);
        vm.etch(owner, "");
        refuse(owner, signed);
        accept(owner, signature(ownerKey, digest(owner)));
    }

    function test_onlyTheAccountItselfUsesItsDelegate() public {
        delegate(owner, address(new SessionDelegate()));
        bytes memory call = abi.encodeCall(identities.setIdentity, (KEY));
        vm.expectRevert(abi.encodeWithSelector(PlainDelegate.NotSelf.selector, address(this)));
        PlainDelegate(owner).execute(address(identities), call);
        vm.expectRevert(abi.encodeWithSelector(PlainDelegate.NotSelf.selector, address(this)));
        SessionDelegate(owner).setSessionKey(address(this));
        vm.prank(owner);
        vm.expectRevert(PlainDelegate.CallFailed.selector);
        PlainDelegate(owner).execute(address(identities), hex"00000000");
        vm.prank(owner);
        PlainDelegate(owner).execute(address(identities), call);
        assertEq(identities.identityOf(owner).identityKey, KEY, "as the account");
    }

    function test_codeThatOnlyLooksLikeADesignatorIsAContract() public {
        bytes memory signed = signature(ownerKey, digest(owner));
        vm.etch(owner, abi.encodePacked(hex"000100", bytes20(0))); // 23 bytes, no designator
        refuse(owner, signed);
        vm.etch(owner, abi.encodePacked(hex"600100", bytes21(0))); // another size
        refuse(owner, signed);
        vm.etch(owner, hex"00"); // a contract at the account's address: its former key never counts
        refuse(owner, signed);
    }

    // --- hostile wallets

    function test_aWalletThatBurnsAllItsGasLeavesTheSenderTheRest() public {
        BurningWallet wallet = new BurningWallet();
        IdentityRegistry.SetIdentity memory request = setRequest(address(wallet), 0);
        vm.expectRevert(abi.encodeWithSelector(SigAuth.SigAuthInvalidSignature.selector, address(wallet)));
        identities.setIdentityFor{gas: 10_000_000}(request, "");
    }

    function test_aWalletThatAnswersAMegabyteIsReadInItsFirstWord() public {
        BabblingWallet wallet = new BabblingWallet(1 << 20, false);
        accept(address(wallet), "");
    }

    function test_aWalletThatAnswersTooLittleOrRevertsIsRefused() public {
        refuse(address(new BabblingWallet(31, false)), "");
        refuse(address(new BabblingWallet(32, true)), "");
        refuse(address(new BabblingWallet(0, true)), "");
    }
}
