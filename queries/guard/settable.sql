-- Which of the settings that the guard gives a user may be given as this user, and within what range.
SELECT name, toString(min) AS least, toString(max) AS most
FROM system.settings
WHERE readonly = 0 AND name IN (
    'cancel_http_readonly_queries_on_client_close', 'log_comment', 'max_bytes_before_external_group_by',
    'max_bytes_before_external_sort', 'max_bytes_to_read', 'max_execution_time', 'max_memory_usage', 'max_result_rows',
    'max_rows_to_read', 'max_threads', 'workload'
)
