//! Integration tests: one binary, a file a behaviour. Engines are real and started by the tests themselves.

mod config_files;
mod decode;
mod http;
mod notify;
mod pipeline;
mod samples;
mod simulate;
