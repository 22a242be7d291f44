-- What a policy is compiled for: the memory limit (0: none of its own), the cores, and whether users can be made with SQL.
SELECT
    version() AS version,
    toFloat64OrZero((SELECT any(value) FROM system.server_settings WHERE name = 'max_server_memory_usage')) AS memory_bytes_max,
    toFloat64OrZero((SELECT any(value) FROM system.server_settings WHERE name = 'max_server_memory_usage_to_ram_ratio')) AS memory_ratio,
    toUInt32OrZero(extract((SELECT any(default) FROM system.settings WHERE name = 'max_threads'), '[0-9]+')) AS cores,
    toUInt32((SELECT count() FROM system.user_directories WHERE type IN ('local_directory', 'local directory', 'replicated', 'memory'))) AS writable_directories
