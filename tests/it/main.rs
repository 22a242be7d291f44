//! Integration tests: one binary, a file a behaviour. Engines are real and started by the tests themselves.

mod clickhouse_engine;
mod config_files;
mod decode;
mod docs;
mod http;
mod ingest_command;
mod kafka_ingest;
mod notify;
mod pipeline;
mod samples;
mod simulate;
mod support;
