//! Any bytes as a record of the format `apisix`.
#![no_main]

floodmark_fuzz::target!(Apisix);
