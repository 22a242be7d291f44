//! Any bytes as a record of the format `nginx`.
#![no_main]

floodmark_fuzz::target!(Nginx);
