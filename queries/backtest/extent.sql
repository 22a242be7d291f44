-- Rows of each raw table by hour: what there is to replay, how far it is, and how it is cut into pieces.
SELECT source, toUnixTimestamp(hour) * 1000 AS hour_ms, rows
FROM
(
    SELECT 'requests' AS source, toStartOfHour(timestamp) AS hour, count() AS rows
    FROM {database}.requests
    WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    GROUP BY hour
    UNION ALL
    SELECT 'signals', toStartOfHour(timestamp) AS hour, count()
    FROM {database}.signals
    WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    GROUP BY hour
    UNION ALL
    SELECT 'changes', toStartOfHour(timestamp) AS hour, count()
    FROM {database}.changes
    WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    GROUP BY hour
    UNION ALL
    SELECT 'queries', toStartOfHour(timestamp) AS hour, count()
    FROM {database}.query_runs
    WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    GROUP BY hour
)
ORDER BY hour_ms, source
