"""The history of the login tables, run by ``migrate``."""
