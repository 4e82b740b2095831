"""From judgements to labels: schema, reader, ledger, gold questions, aggregation, agreement, sufficiency, expiry.

`store` is the live database, and `formats` is import and export.
"""
