//! Any bytes as a record of the format `combined`.
#![no_main]

floodmark_fuzz::target!(Combined);
