"""Every domain-separation label of the protocol, in one place (SPEC 0).

Each is ``psp/<name>/<version>`` and none is a prefix of another, so that a value derived for one
purpose can never be taken for a value derived for another.
"""

# Identity (SPEC 1)
NETWORK = b"psp/net/1"
BLIND = b"psp/blind/1"
DEVICE_CERTIFICATE = b"psp/device/1"
CONTACT_PAIR = b"psp/pair/1"

# Descriptor (SPEC 2)
DESCRIPTOR_KEY = b"psp/descriptor-key/1"
DESCRIPTOR_CERTIFICATE = b"psp/descriptor-cert/1"
DESCRIPTOR_SIGNATURE = b"psp/descriptor-sig/1"
CLIENT_AUTHORISATION = b"psp/client-auth/1"
CLIENT_AUTHORISATION_BODY = b"psp/client-auth-body/1"
CLIENT_AUTHORISATION_ID = b"psp/client-auth-id/1"

# Onion (SPEC 3)
SETUP_KEYS = b"psp/setup/1"
CIRCUIT_BINDING = b"psp/bind/1"
CIRCUIT_KEYS = b"psp/circ/1"
LAYER_REKEY = b"psp/layer-rekey/1"

# Circuit (SPEC 4)
INTRO_REGISTER = b"psp/intro/1"

# Session (SPEC 5)
HANDSHAKE = b"psp/e2e/1"
HANDSHAKE_KEY_ID = b"psp/hkid/1"
HANDSHAKE_MESSAGE_1 = b"psp/e2e-m1/1"
HANDSHAKE_MESSAGE_2 = b"psp/e2e-m2/1"
CALLER_EARLY_PROOF = b"psp/auth0/1"
CALLER_PROOF = b"psp/auth/1"
SESSION_CHAIN = b"psp/chain/1"
SESSION_NEXT_CHAIN = b"psp/next/1"
SESSION_PATH = b"psp/path/1"
SESSION_RATCHET = b"psp/ratchet/1"
SESSION_REKEY = b"psp/session-rekey/1"
SESSION_RESUME = b"psp/resume/1"

# Rendezvous (SPEC 12)
TICKET = b"psp/ticket/1"
PASS = b"psp/pass/1"
PUZZLE = b"psp/puzzle/1"

# Directory (SPEC 6)
RELAY_POSSESSION = b"psp/relay-pop/1"
RELAY_DESCRIPTOR = b"psp/relay-desc/1"
RELAY_ADDRESSES = b"psp/relay-addr/1"
STATIC_FILE = b"psp/static/1"
ADMISSION = b"psp/admission/1"
ADMISSIONS_KEY = b"psp/admissions-key/1"
DIRECTORY_LEAF = b"psp/dir-leaf/1"
NETWORK_PARAMETERS = b"psp/params/1"
RING_SEED = b"psp/srv/1"
RING_NODE = b"psp/ring-node/1"
RING_INDEX = b"psp/ring-index/1"
GRANT_INDEX = b"psp/grant/1"

# Contracts (SPEC 8)
COMMITMENT = b"psp/commitment/1"

# Services (SPEC 11)
FILE_TRANSFER = b"psp/file/1"

# Login (SPEC 21)
LOGIN_NONCE = b"psp/login-nonce/1"
LOGIN_SEAL = b"psp/login-seal/1"
SIWE_GRANT = b"psp/siwe-grant/1"

# Vault (SPEC 22)
VAULT_LOCK = b"psp/vault-lock/1"
VAULT_SECRETS = b"psp/vault-secrets/1"
VAULT_DATABASE = b"psp/vault-database/1"
