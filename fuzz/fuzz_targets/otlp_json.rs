//! Any bytes as a record of the format `otlp_json`.
#![no_main]

floodmark_fuzz::target!(OtlpJson);
