//! Any bytes as a record of the format `ecs`.
#![no_main]

floodmark_fuzz::target!(Ecs);
