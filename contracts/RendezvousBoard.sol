// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Bip340} from "./Bip340.sol";
import {INetworkAnchor} from "./INetworkAnchor.sol";

/// @title Which record of a blinded key is the newest, kept where nobody can roll it back
/// @notice Optional, and off by default: whoever posts shows when a key was published, and who paid. A client refuses
/// a record below the committed revision, needs the hash to match at an equal one, and accepts a higher one. Nothing
/// here is taken without a BIP-340 signature by the blinded key itself, so that nobody commits for somebody else.
/// @dev Immutable and without an owner. Anybody may send what the blinded key signed.
contract RendezvousBoard {
    /// @notice What a blinded key says of its newest record in a period.
    /// @param blindedKey x of the blinded key.
    /// @param period The period that it belongs to.
    /// @param revision Revision of the record: the time when it was made, in unix seconds.
    /// @param hash SHA-256 of the whole record.
    struct Commitment {
        bytes32 blindedKey;
        uint64 period;
        uint64 revision;
        bytes32 hash;
    }

    /// @notice The contract that anchors the network.
    INetworkAnchor public immutable ANCHOR;
    /// @notice Length of the network's epoch in seconds.
    uint64 public immutable EPOCH_S;

    // As long as the chain is the one of the deployment, the anchor need not be asked.
    uint256 private immutable CHAIN_ID = block.chainid;
    bytes32 private immutable NETWORK_ID;
    bytes32 private immutable TAG = sha256("psp/commitment/1");
    uint256 private constant CLOCK_SKEW_S = 1 hours;
    uint256 private constant REVISION_SHIFT = 192;
    uint256 private constant HASH_SHIFT = 64;

    // revision u64 | first 24 bytes of the hash: one slot; the event has the whole hash.
    mapping(bytes32 blindedKey => mapping(uint64 period => uint256)) private _commitments;
    mapping(address aggregator => mapping(uint256 epoch => bytes32)) private _batchRoots;

    /// @notice A blinded key committed itself to a record.
    event Committed(bytes32 indexed blindedKey, uint64 indexed period, uint64 revision, bytes32 hash);
    /// @notice The record itself, for networks that have no other place for it.
    event RecordPublished(bytes32 indexed blindedKey, uint64 indexed period, uint64 revision, bytes record);
    /// @notice An aggregator posted the Merkle root of the commitments that it took in an epoch.
    event BatchPosted(address indexed aggregator, uint256 indexed epoch, bytes32 root);

    /// @notice The anchor is no contract.
    error RendezvousBoardBadAnchor(address anchor);
    /// @notice The blinded key did not sign this commitment.
    error RendezvousBoardBadSignature(bytes32 blindedKey);
    /// @notice The revision is not above the committed one.
    error RendezvousBoardStaleRevision(uint64 revision, uint64 committed);
    /// @notice The revision, which is a time in unix seconds, is more than an hour ahead of this block.
    error RendezvousBoardFutureRevision(uint64 revision, uint256 latest);
    /// @notice The record does not have the committed hash.
    error RendezvousBoardOtherRecord(bytes32 hash);
    /// @notice The root is zero, or the sender has posted one in this epoch: it cannot be changed.
    error RendezvousBoardBadBatch(bytes32 root, bytes32 posted);

    /// @param anchor The network's relay registry.
    constructor(INetworkAnchor anchor) {
        if (address(anchor).code.length == 0) revert RendezvousBoardBadAnchor(address(anchor));
        ANCHOR = anchor;
        EPOCH_S = anchor.EPOCH_S();
        NETWORK_ID = anchor.networkId();
    }

    /// @notice Commits a blinded key to its newest record.
    /// @param commitment What it says.
    /// @param signature BIP-340, by the blinded key, over `messageOf(commitment)`.
    function commit(Commitment calldata commitment, Bip340.Signature calldata signature) external {
        _commit(commitment, signature);
    }

    /// @notice Commits a blinded key to a record and puts the record itself on the chain.
    /// @param commitment What the key says of it.
    /// @param signature BIP-340, by the blinded key, over `messageOf(commitment)`.
    /// @param record The whole record, which has the committed hash.
    function publish(Commitment calldata commitment, Bip340.Signature calldata signature, bytes calldata record)
        external
    {
        if (sha256(record) != commitment.hash) revert RendezvousBoardOtherRecord(commitment.hash);
        _commit(commitment, signature);
        emit RecordPublished(commitment.blindedKey, commitment.period, commitment.revision, record);
    }

    /// @notice Posts the root of the commitments that the sender took in this epoch, once.
    /// @param root Of an OpenZeppelin standard Merkle tree over (blindedKey, period, revision, hash, rx, s).
    function postBatch(bytes32 root) external {
        uint256 epoch = block.timestamp / EPOCH_S;
        bytes32 posted = _batchRoots[msg.sender][epoch];
        if (root == 0 || posted != 0) revert RendezvousBoardBadBatch(root, posted);
        _batchRoots[msg.sender][epoch] = root;
        emit BatchPosted(msg.sender, epoch, root);
    }

    /// @notice The newest commitment of a blinded key in a period; zeros when there is none.
    /// @param blindedKey x of the blinded key.
    /// @param period The period.
    /// @return revision The committed revision.
    /// @return hashStart The first 24 bytes of the committed hash.
    function commitmentOf(bytes32 blindedKey, uint64 period)
        external
        view
        returns (uint64 revision, bytes24 hashStart)
    {
        uint256 packed = _commitments[blindedKey][period];
        return (uint64(packed >> REVISION_SHIFT), bytes24(uint192(packed)));
    }

    /// @notice The root that an aggregator posted in an epoch; zero when there is none.
    /// @param aggregator Who posted.
    /// @param epoch The epoch.
    function batchRootOf(address aggregator, uint256 epoch) external view returns (bytes32) {
        return _batchRoots[aggregator][epoch];
    }

    /// @notice Whether an aggregator's batch of an epoch holds this commitment, and the blinded key signed it.
    /// @param aggregator Who posted.
    /// @param epoch When.
    /// @param commitment What the key says.
    /// @param signature Its signature.
    /// @param proof Siblings from the commitment's leaf to the root.
    function isInBatch(
        address aggregator,
        uint256 epoch,
        Commitment calldata commitment,
        Bip340.Signature calldata signature,
        bytes32[] calldata proof
    ) external view returns (bool) {
        bytes32 root = _batchRoots[aggregator][epoch];
        if (!MerkleProof.verifyCalldata(proof, root, _leaf(commitment, signature))) return false;
        return Bip340.verify(commitment.blindedKey, messageOf(commitment), signature);
    }

    /// @notice The 32 bytes that the blinded key signs: BIP-340's tagged hash, tag "psp/commitment/1", of network id,
    /// blinded key, period, revision and hash.
    /// @param commitment What it says.
    function messageOf(Commitment calldata commitment) public view returns (bytes32) {
        return sha256(
            abi.encodePacked(
                TAG, TAG, networkId(), commitment.blindedKey, commitment.period, commitment.revision, commitment.hash
            )
        );
    }

    /// @notice The 32 bytes that tie every signature to one network; another chain after a fork is another network.
    function networkId() public view returns (bytes32) {
        return block.chainid == CHAIN_ID ? NETWORK_ID : ANCHOR.networkId();
    }

    function _commit(Commitment calldata commitment, Bip340.Signature calldata signature) private {
        uint256 packed = _commitments[commitment.blindedKey][commitment.period];
        uint64 committed = uint64(packed >> REVISION_SHIFT);
        if (commitment.revision <= committed) {
            revert RendezvousBoardStaleRevision(commitment.revision, committed);
        }
        // One stolen signature must not hide all records that its owner can still make in the period.
        uint256 latest = block.timestamp + CLOCK_SKEW_S;
        if (commitment.revision > latest) revert RendezvousBoardFutureRevision(commitment.revision, latest);
        if (!Bip340.verify(commitment.blindedKey, messageOf(commitment), signature)) {
            revert RendezvousBoardBadSignature(commitment.blindedKey);
        }
        _commitments[commitment.blindedKey][commitment.period] =
            uint256(commitment.revision) << REVISION_SHIFT | uint256(commitment.hash) >> HASH_SHIFT;
        emit Committed(commitment.blindedKey, commitment.period, commitment.revision, commitment.hash);
    }

    // Hashed twice, so that no inner node can be taken for a leaf.
    function _leaf(Commitment calldata commitment, Bip340.Signature calldata signature) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(commitment, signature.rx, signature.s))));
    }
}
