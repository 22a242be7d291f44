-- What customers did from `began` to before `ended`, by client and version: those of the cause, and those that had failures.
-- The heaviest first, so that the limit cuts off the others. Parameters as in `traffic.sql`.
WITH
    (
        notEmpty({subscription:String}) OR notEmpty({client:String}) OR notEmpty({client_version:String})
        OR notEmpty({service:String}) OR notEmpty({caller:String}) OR notEmpty({route:String})
    ) AS names_requests
SELECT
    r.subscription AS subscription, r.client AS client, r.client_version AS client_version,
    names_requests
        AND (empty({subscription:String}) OR r.subscription = {subscription:String})
        AND (empty({client:String}) OR r.client = {client:String})
        AND (empty({client_version:String}) OR r.client_version = {client_version:String})
        AND (empty({service:String}) OR r.service = {service:String})
        AND (empty({caller:String}) OR r.caller = {caller:String})
        AND (empty({route:String}) OR r.route = {route:String}) AS is_cause,
    sum(r.requests) AS requests, sum(r.failures) AS failures, sum(r.resends) AS resends,
    toString(min(r.minute)) AS since, toString(max(r.minute)) AS until
FROM {database}.requests_by_minute AS r
-- The day is first in the key.
WHERE toDate(r.minute) BETWEEN toDate({began:DateTime64(3, 'UTC')}, 'UTC') AND toDate({ended:DateTime64(3, 'UTC')}, 'UTC')
    AND r.minute >= toDateTime({began:DateTime64(3, 'UTC')}, 'UTC')
    AND r.minute < toDateTime({ended:DateTime64(3, 'UTC')}, 'UTC')
    AND ({internal:UInt32} = 1 OR empty(r.caller))
GROUP BY r.subscription, r.client, r.client_version, is_cause
HAVING is_cause OR failures > 0
ORDER BY is_cause DESC, resends + failures DESC, requests DESC, subscription, client, client_version
LIMIT {limit:UInt32}
