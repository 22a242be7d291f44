//! Any text as a query.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| floodmark_fuzz::check_sql(text));
