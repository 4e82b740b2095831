"""Judgements on the move: the inbox, snapshots of the live store, expiry, forgetting a person."""
