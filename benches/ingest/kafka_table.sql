-- One consumer a core, blocks as large as Floodmark's batches.
CREATE TABLE bench_kafka.queue
(
    timestamp String,
    subscription String,
    client String,
    client_version String,
    service String,
    caller String,
    method String,
    route String,
    status UInt16,
    duration_ms Float32,
    request_bytes UInt64,
    response_bytes UInt64,
    attempt UInt32,
    request_key String,
    request_id String,
    region String,
    host String
)
ENGINE = Kafka
SETTINGS kafka_broker_list = '{brokers}', kafka_topic_list = 'requests', kafka_group_name = 'bench-kafka-table',
    kafka_format = 'JSONEachRow', kafka_num_consumers = 2, kafka_thread_per_consumer = 1, kafka_max_block_size = 100000,
    kafka_poll_max_batch_size = 100000, input_format_skip_unknown_fields = 1;
CREATE MATERIALIZED VIEW bench_kafka.to_requests TO bench_kafka.requests AS
SELECT
    parseDateTime64BestEffort(timestamp, 3, 'UTC') AS timestamp, subscription, client, client_version, service, caller,
    method, route, status, duration_ms, request_bytes, response_bytes, attempt, request_key, request_id, region, host,
    _topic, toInt32(_partition) AS _partition, toInt64(_offset) AS _offset, 0 AS _index
FROM bench_kafka.queue;
CREATE MATERIALIZED VIEW bench_kafka.to_requests_by_minute TO bench_kafka.requests_by_minute AS
SELECT
    toStartOfMinute(timestamp) AS minute, subscription, client, client_version, service, caller, route,
    intDiv(status, 100) AS status_class, count() AS requests, countIf(status >= 500 OR status = 429) AS failures,
    countIf(attempt > 1) AS resends, sum(request_bytes) AS request_bytes, sum(response_bytes) AS response_bytes,
    sumMap(map(toInt16(if(duration_ms <= 0, -32768, ceil(log2(duration_ms) * 8) - 1)), toUInt64(1))) AS duration_ms
FROM
(
    SELECT parseDateTime64BestEffort(queue.timestamp, 3, 'UTC') AS timestamp, * EXCEPT timestamp
    FROM bench_kafka.queue
)
GROUP BY ALL;
