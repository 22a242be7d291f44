-- Rows by hour of raw requests (`requests`) and of the rollup (`minutes`): what there is, and how it is cut into pieces.
SELECT source, toUnixTimestamp(hour) * 1000 AS hour_ms, rows
FROM
(
    SELECT 'requests' AS source, toStartOfHour(timestamp) AS hour, count() AS rows
    FROM {database}.requests
    WHERE timestamp >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND timestamp < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    GROUP BY hour
    UNION ALL
    SELECT 'minutes', toStartOfHour(minute) AS hour, count()
    FROM {database}.requests_by_minute
    WHERE toDate(minute) BETWEEN toDate(fromUnixTimestamp64Milli({from:Int64}, 'UTC'), 'UTC')
            AND toDate(fromUnixTimestamp64Milli({until:Int64}, 'UTC'), 'UTC')
        AND minute >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND minute < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    GROUP BY hour
)
ORDER BY hour_ms, source
