//! `floodmark status`: what the public is told.

pub mod export;
