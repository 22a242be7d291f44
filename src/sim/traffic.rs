//! What is under way: workflows that customers run, and attempts the platform has in hand.

use super::schedule::Micros;
use super::slab::Handle;

/// A workflow a customer runs. It makes one logical request at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub subscription: usize,
    /// Installation of the client it runs in; an older one than the subscription's is given up.
    pub installation: u32,
    pub workflow: usize,
    pub step: usize,
    /// Identity of the current logical request.
    pub request_key: u64,
    /// Attempts made of it.
    pub attempts: u32,
    /// Whether it fails however often it is tried.
    pub fails_persistently: bool,
}

/// One attempt of a logical request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub running: Handle,
    pub subscription: usize,
    pub version: usize,
    pub route: usize,
    pub request_key: u64,
    pub request_id: u64,
    /// From 1.
    pub number: u32,
    pub fails_persistently: bool,
    pub sent_us: Micros,
    /// Which container has it; `None` at the gateway.
    pub container: Option<usize>,
    /// The gateway has answered; a container may still work on it, for nobody.
    pub answered: bool,
}
