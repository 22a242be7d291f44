//! Any bytes as a record of the format `zuplo`.
#![no_main]

floodmark_fuzz::target!(Zuplo);
