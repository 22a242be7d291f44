//! Integration tests: one binary, a file a behaviour. Engines are real and started by the tests themselves.

mod check;
mod cli_contract;
mod clickhouse_engine;
mod config_files;
mod dead_letters;
mod decode;
mod demo;
mod docs;
mod http;
mod ingest_command;
mod kafka_ingest;
mod ledger;
mod notify;
mod pipeline;
mod purity;
mod samples;
mod service;
mod service_outages;
mod service_start_stop;
mod simulate;
mod store;
mod support;
