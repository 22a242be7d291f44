//! Any bytes as a record of the format `kong`.
#![no_main]

floodmark_fuzz::target!(Kong);
