-- What the machine or the container allows: asked only where the server has no limit of its own.
SELECT min(value) AS memory_limit_bytes
FROM system.asynchronous_metrics
WHERE metric IN ('CGroupMemoryTotal', 'OSMemoryTotal') AND value > 0
FORMAT JSONEachRow
