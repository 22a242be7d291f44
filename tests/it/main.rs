//! Integration tests: one binary, a file a behaviour. Engines are real and started by the tests themselves.

mod decode;
mod ingest_command;
mod kafka_ingest;
mod support;
