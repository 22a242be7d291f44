//! Any bytes as a record of the format `envoy`.
#![no_main]

floodmark_fuzz::target!(Envoy);
