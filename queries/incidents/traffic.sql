-- Requests around an incident by bucket: all, those of its cause, and what the cause's customers sent beside it.
--   from, until    the stretch; whole buckets
--   began, ended   the incident: who sent requests of the cause then is one of its customers
--   bucket_s       width of a bucket: a multiple of 60
--   internal       1: calls between services too
--   subscription … what the cause names; empty for what it does not, all empty where no request is of the cause
WITH
    (
        notEmpty({subscription:String}) OR notEmpty({client:String}) OR notEmpty({client_version:String})
        OR notEmpty({service:String}) OR notEmpty({caller:String}) OR notEmpty({route:String})
    ) AS names_requests,
    rows AS
    (
        SELECT
            r.minute AS minute, r.subscription AS subscription, r.requests AS requests, r.failures AS failures,
            r.resends AS resends,
            names_requests
                AND (empty({subscription:String}) OR r.subscription = {subscription:String})
                AND (empty({client:String}) OR r.client = {client:String})
                AND (empty({client_version:String}) OR r.client_version = {client_version:String})
                AND (empty({service:String}) OR r.service = {service:String})
                AND (empty({caller:String}) OR r.caller = {caller:String})
                AND (empty({route:String}) OR r.route = {route:String}) AS is_cause
        FROM {database}.requests_by_minute AS r
        -- The day is first in the key.
        WHERE toDate(r.minute) BETWEEN toDate({from:DateTime64(3, 'UTC')}, 'UTC') AND toDate({until:DateTime64(3, 'UTC')}, 'UTC')
            AND r.minute >= toDateTime({from:DateTime64(3, 'UTC')}, 'UTC')
            AND r.minute < toDateTime({until:DateTime64(3, 'UTC')}, 'UTC')
            AND ({internal:UInt32} = 1 OR empty(r.caller))
    ),
    causing AS
    (
        SELECT DISTINCT rows.subscription FROM rows
        WHERE rows.is_cause
            AND rows.minute >= toDateTime({began:DateTime64(3, 'UTC')}, 'UTC')
            AND rows.minute < toDateTime({ended:DateTime64(3, 'UTC')}, 'UTC')
    )
SELECT
    intDiv(toUnixTimestamp(rows.minute), {bucket_s:UInt32}) * {bucket_s:UInt32} * 1000 AS at_ms,
    sum(rows.requests) AS requests, sum(rows.failures) AS failures, sum(rows.resends) AS resends,
    sumIf(rows.requests, rows.is_cause) AS cause_requests, sumIf(rows.failures, rows.is_cause) AS cause_failures,
    sumIf(rows.resends, rows.is_cause) AS cause_resends,
    sumIf(rows.requests, NOT rows.is_cause AND rows.subscription IN (SELECT subscription FROM causing)) AS elsewhere_requests
FROM rows
GROUP BY at_ms
ORDER BY at_ms
