//! What several tests need: real engines, started once for the whole binary, and the service as a process.

pub mod accounts;
pub mod alertmanager;
pub mod broker;
pub mod browser;
pub mod clickhouse;
pub mod cube;
pub mod endpoint;
pub mod events;
pub mod guard;
pub mod guard_policy;
pub mod guard_proxy;
pub mod intake;
pub mod notifier;
pub mod platform_day;
pub mod probes;
pub mod proxy;
pub mod questions;
pub mod redis;
pub mod service;
pub mod set_score;
pub mod status_desk;
pub mod tls;
pub mod topics;
pub mod webhook;
