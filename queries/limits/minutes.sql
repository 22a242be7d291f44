-- Requests at the edge by minute, in the order of time.
--   described  1: by everything that describes a request; 0: by subscription and route alone, which is a fraction of the
--              rows. An incident's culprits are told by the rest, so it is asked for where there is an incident.
SELECT
    toInt64(toUnixTimestamp(minute)) * 1000 AS minute_ms,
    subscription,
    if({described:Int64} = 1, client::String, '') AS by_client,
    if({described:Int64} = 1, client_version::String, '') AS by_client_version,
    if({described:Int64} = 1, service::String, '') AS by_service,
    route::String AS by_route,
    sum(requests) AS requests_sum,
    sum(resends) AS resends_sum
FROM {database}.requests_by_minute
WHERE toDate(minute) BETWEEN toDate(fromUnixTimestamp64Milli({from:Int64}, 'UTC'), 'UTC')
        AND toDate(fromUnixTimestamp64Milli({until:Int64}, 'UTC'), 'UTC')
    AND minute >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND minute < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
    AND caller = ''
GROUP BY minute, subscription, by_client, by_client_version, by_service, by_route
ORDER BY minute, subscription, by_client, by_client_version, by_service, by_route
