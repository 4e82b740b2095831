"""Operations on feedback: fetch the inbox, import, take snapshots of the store, expire pictures, forget a person."""
