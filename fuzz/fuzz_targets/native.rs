//! Any bytes as a record of the format `native`.
#![no_main]

floodmark_fuzz::target!(Native);
