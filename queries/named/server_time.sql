-- The server's clock. Ranges that are in the ledger by then have all their rows in the raw tables.
SELECT toString(now64(3, 'UTC')) AS now
