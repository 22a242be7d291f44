//! Any bytes as a record of the format `otlp_proto`.
#![no_main]

floodmark_fuzz::target!(OtlpProto);
