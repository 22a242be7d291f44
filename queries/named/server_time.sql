-- title: The server's clock
-- owner: storage
-- budget: interactive
-- The server's clock. Ranges that are in the ledger by then have all their rows in the raw tables.
-- column now time: by the server's clock
SELECT now64(3, 'UTC') AS now
