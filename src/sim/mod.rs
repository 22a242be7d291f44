//! The closed-loop traffic simulator: load, queues, latency, memory, failures and retries act on each other.
//!
//! A discrete-event simulation, deterministic by seed: one heap of happenings in (time, sequence) order, whole
//! microseconds, ChaCha8 streams and `libm` only. A scenario file says what the platform and its customers are like,
//! never what the load or the failures shall be; these come out.

mod arrivals;
mod customers;
mod describe;
mod expiring;
mod gateway;
mod output;
mod pace;
mod plan;
mod platform_model;
mod population;
mod random;
mod rate_limit;
mod record;
mod retry;
mod scenario;
mod schedule;
mod service;
mod signals;
mod simulation;
mod slab;
mod store;
mod traffic;

pub use describe::{Description, WindowDescription};
pub use pace::Pace;
pub use platform_model::{
    CacheSpec, CallSpec, ClickHouseNodeSpec, DisturbanceSpec, Disturbed, EffectKind, EffectSpec, GaugeSpec, GroupSpec,
    InternalRouteSpec, LoadSpec, NetworkSpec, PlatformModelName, PlatformScenario, PlatformServiceSpec,
    PlatformSimulation, PlatformStoreSpec, PoolSpec, QuerySpec, RecordSpec, ReplicaMemorySpec,
};
pub use scenario::{
    AgentSpec, AllowedAlert, AmplitudeLevel, AmplitudeSpec, ChangeSpec, CohortSpec, ContainerMemorySpec, DailySpec,
    ExpectedAlert, LogSpec, NAMES, RateLimitSpec, RetrySpec, RouteSpec, Scenario, ScenarioError, ScenarioFile,
    ServiceSpec, ServiceTimeSpec, StoreSpec, SurgeSpec, SwitchSpec, TruthSpec, VersionSpec, WorkflowSpec, embedded,
};
pub use simulation::Simulation;
