//! Floodmark finds who is flooding an API platform: which customer, client release, query or leak.
//!
//! `ARCHITECTURE.md` is the map. The pure core (`model decode flow detect incident alert` without `alert::notify`)
//! does no I/O and reads no clock; the shell around it does nothing else.

// The documentation is for those who work on it, and built with private items (`make docs`).
#![allow(rustdoc::private_intra_doc_links)]

pub mod alert;
pub mod api;
pub mod app;
pub mod backtest;
pub mod cli;
pub mod client_tls;
pub mod clock;
pub mod config;
pub mod dashboards;
pub mod decode;
pub mod detect;
pub mod drawing;
pub mod evaluation;
pub mod flow;
pub mod guard;
pub mod incident;
pub mod ingest;
mod kafka_client;
pub mod limits;
pub mod listener;
pub mod local;
pub mod metrics;
pub mod model;
pub mod pipeline;
pub mod postmortem;
pub mod public_site;
pub mod query;
pub mod replay;
pub mod rule_tests;
pub mod shutdown;
pub mod sim;
pub mod status;
pub mod store;
pub mod telemetry;
mod xml_text;
