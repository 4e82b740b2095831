"""Operations on feedback: fetch the inbox, import, take snapshots of the store, expire pictures, forget a person.

It also finds addresses of a project that overlap: the inbox moves and deletes files.
"""
