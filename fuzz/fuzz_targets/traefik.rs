//! Any bytes as a record of the format `traefik`.
#![no_main]

floodmark_fuzz::target!(Traefik);
