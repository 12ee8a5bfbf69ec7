"""What programs use: connect, listen, Node, Client, in trio, asyncio and threads (SPEC 18)."""
