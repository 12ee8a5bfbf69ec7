// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {INetworkAnchor} from "../../../contracts/INetworkAnchor.sol";
import {IdentityRegistry} from "../../../contracts/IdentityRegistry.sol";

interface Svm {
    function enableSymbolicStorage(address target) external;
    function createCalldata(string memory contractName) external returns (bytes memory);
}

interface SymbolicVm {
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
}

contract FixedAnchor is INetworkAnchor {
    uint64 public constant EPOCH_S = 6 hours;

    function networkId() external pure returns (bytes32) {
        return keccak256("any network");
    }
}

/// A registry in any state, and any call to it.
abstract contract AnyState {
    Svm internal constant svm = Svm(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
    SymbolicVm internal constant vm = SymbolicVm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    IdentityRegistry internal registry;

    function setUp() public {
        registry = new IdentityRegistry(new FixedAnchor());
        svm.enableSymbolicStorage(address(registry));
    }

    function anyCall(address sender) internal {
        bytes memory data = svm.createCalldata("IdentityRegistry");
        vm.prank(sender);
        (bool done,) = address(registry).call(data);
        vm.assume(done);
    }
}

/// Proofs by halmos, for every state of the registry's storage, every sender, every call and every signature: each
/// says what one step cannot undo, and so what no number of steps can.
contract RevocationProof is AnyState {
    /// A revocation voids every delegation that was issued up to its time.
    function check_revocationVoidsEveryOlderDelegation(address account, uint64 time, uint64 issued, uint64 now_)
        public
    {
        vm.warp(now_);
        vm.assume(issued <= time);
        vm.prank(account);
        registry.revokeBefore(time);
        assert(registry.isRevoked(account, issued));
    }

    /// What is void stays void, whatever anybody sends.
    function check_aVoidDelegationNeverCountsAgain(address account, uint64 issued, address sender, uint64 now_) public {
        vm.warp(now_);
        vm.assume(registry.isRevoked(account, issued));
        anyCall(sender);
        assert(registry.isRevoked(account, issued));
    }

    /// A revoked device is revoked, and stays so, whatever anybody sends.
    function check_revocationVoidsTheDevice(address account, bytes32 device) public {
        vm.prank(account);
        registry.revokeDevice(device);
        assert(registry.isDeviceRevoked(account, device));
    }

    function check_aVoidDeviceNeverCountsAgain(address account, bytes32 device, address sender, uint64 now_) public {
        vm.warp(now_);
        vm.assume(registry.isDeviceRevoked(account, device));
        anyCall(sender);
        assert(registry.isDeviceRevoked(account, device));
    }

    /// A key that is listed now counts, and one that was listed before a revocation does not.
    function check_aListedKeyCountsUnlessRevokedLater(address account, bytes32 key, uint64 time, uint64 now_) public {
        vm.assume(now_ < type(uint64).max);
        vm.warp(now_);
        vm.assume(registry.identityOf(account).revokedBefore <= now_); // by the next proof
        vm.prank(account);
        registry.setIdentity(key);
        assert(!registry.isRevoked(account, registry.identityOf(account).issued));
        vm.assume(time >= registry.identityOf(account).issued && time <= now_);
        vm.prank(account);
        registry.revokeBefore(time);
        assert(registry.isRevoked(account, registry.identityOf(account).issued));
    }

    /// No revocation is ever in the future, so that nothing locks an owner out.
    function check_noRevocationIsInTheFuture(address account, address sender, uint64 now_) public {
        vm.warp(now_);
        vm.assume(registry.identityOf(account).revokedBefore <= now_);
        anyCall(sender);
        assert(registry.identityOf(account).revokedBefore <= now_);
    }

    /// Nobody else changes an account's entry without its signature.
    function check_strangersChangeNothing(address account, address sender, bytes32 key, uint64 time, bytes32 device)
        public
    {
        vm.assume(sender != account);
        IdentityRegistry.Identity memory before = registry.identityOf(account);
        vm.prank(sender);
        (bool a,) = address(registry).call(abi.encodeCall(registry.setIdentity, (key)));
        vm.prank(sender);
        (bool b,) = address(registry).call(abi.encodeCall(registry.revokeBefore, (time)));
        vm.prank(sender);
        (bool c,) = address(registry).call(abi.encodeCall(registry.revokeDevice, (device)));
        vm.assume(a || b || c);
        IdentityRegistry.Identity memory later = registry.identityOf(account);
        assert(keccak256(abi.encode(before)) == keccak256(abi.encode(later)));
    }
}

/// False claims: that halmos refutes them shows that it reaches what the proofs speak of.
contract RevocationRefutation is AnyState {
    function check_nothingIsEverRevoked(address account, uint64 issued, address sender, uint64 now_) public {
        vm.warp(now_);
        vm.assume(!registry.isRevoked(account, issued));
        anyCall(sender);
        assert(!registry.isRevoked(account, issued));
    }

    function check_noDeviceIsEverRevoked(address account, bytes32 device, address sender, uint64 now_) public {
        vm.warp(now_);
        vm.assume(!registry.isDeviceRevoked(account, device));
        anyCall(sender);
        assert(!registry.isDeviceRevoked(account, device));
    }

    function check_nobodyListsForAnother(address account, address sender, uint64 now_) public {
        vm.warp(now_);
        vm.assume(sender != account); // but with the account's signature somebody does
        bytes32 before = registry.identityOf(account).identityKey;
        anyCall(sender);
        assert(registry.identityOf(account).identityKey == before);
    }
}
