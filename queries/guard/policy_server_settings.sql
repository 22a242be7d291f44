-- Settings of the server itself that the guard cannot change with SQL, and has an opinion on.
SELECT name, value
FROM system.server_settings
WHERE name IN ('throw_on_unknown_workload', 'max_concurrent_queries', 'max_concurrent_select_queries',
    'max_server_memory_usage_to_ram_ratio')
