"""What no line of a log may hold, one of each kind."""

ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
PEER = "12D3KooWBhv7V3Qx5M1qPq1Zp3n2M7hKq7S1n3n1tqvJm8rYz9aB"
KEY = "e0286fc30d70947656708cca795e331491b600c005e43d2fb6b40e05ec6465a5"
FORBIDDEN = [
    ADDRESS,
    ADDRESS.lower(),
    ADDRESS[2:],
    f"psp:{ADDRESS}?k={KEY}&s={KEY}",
    KEY,
    "0x" + KEY,
    PEER,
    "192.0.2.7",
    "10.1.2.3:4001",
    "/ip4/203.0.113.9/tcp/4001",
    "2001:db8::7334",
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "::ffff:192.0.2.7",
    "http://127.0.0.1:8545/v3/0123456789abcdef",
    "fX9gQm2Lw8sT4vR7yB1nK5pD3hJ6cZ0aE8uW2qI4oLk",
]
