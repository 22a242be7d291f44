-- The server's memory limit in bytes, 0 when it has none, and its cores.
SELECT
    (SELECT toString(sum(toUInt64OrZero(value))) FROM system.server_settings WHERE name = 'max_server_memory_usage') AS bytes,
    (SELECT any(extract(value, '[0-9]+')) FROM system.settings WHERE name = 'max_threads') AS cores
