//! Any bytes as a record of the format `cloudflare`.
#![no_main]

floodmark_fuzz::target!(Cloudflare);
