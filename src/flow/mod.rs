//! Event time: watermark, windows, bounded counts. Everything here is commutative inside a window, so the order in which
//! events of one window arrive never shows in the result.

mod assembler;
mod chain;
mod changes;
mod crowd;
mod demand;
mod excess;
mod exemplars;
mod latency;
mod log_histogram;
mod names;
mod queries;
mod query_exemplars;
mod recent;
mod repeats;
mod request_keys;
mod running_queries;
mod signals;
mod traffic;
mod watermark;
mod window;

pub use assembler::{Assembler, FlowCounts};
pub use changes::{CHANGES_MAX, ChangeLog};
pub use exemplars::{Exemplar, ExemplarRank};
pub use latency::{BUCKETS_PER_DOUBLING, Latencies, ZERO_BUCKET, bucket_end_ms, latency_bucket};
pub use log_histogram::LogHistogram;
pub use names::{Name, Names};
pub use queries::{HELD_MS_MAX, QueryCell, QueryCounts, QueryKey, QueryTexts, QueryWindow, RunReport, ScanSize};
pub use query_exemplars::QueryExemplar;
pub use recent::{RECENT_MS, Recent};
pub use repeats::Inferred;
pub use request_keys::RequestKeys;
pub use running_queries::{Run, RunningQueries};
pub use signals::{
    Bucket, COARSE_MS, DAY_MS, EdgeBucket, EdgeHistory, FINE_MS, Flow, Gauge, LOW_SHARE, PoolBucket, PoolHistory,
    Restarts, SERIES_SILENT_MS, SignalHistory, SourceHistory, ThroughputBucket, ThroughputHistory, within,
};
pub use traffic::{STEP_MS, STEPS_MAX, TOPS_MAX, Traffic, TrafficCounts, TrafficPart, TrafficStep, TrafficSteps};
pub use watermark::{StreamId, Watermark};
pub use window::{Cell, CellKey, ClosedWindow, Hop, HopSums, LateCounts, SignalCell, Window, ratio};
