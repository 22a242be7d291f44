-- The server's memory limit in bytes; 0 when it has none.
SELECT toString(sum(toUInt64OrZero(value))) AS bytes FROM system.server_settings WHERE name = 'max_server_memory_usage'
