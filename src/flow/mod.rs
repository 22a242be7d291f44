//! Event time: watermark, windows, bounded counts. Everything here is commutative inside a window, so the order in which
//! events of one window arrive never shows in the result.

mod assembler;
mod chain;
mod changes;
mod crowd;
mod demand;
mod excess;
mod names;
mod recent;
mod repeats;
mod request_keys;
mod signals;
mod watermark;
mod window;

pub use assembler::{Assembler, FlowCounts};
pub use changes::{CHANGES_MAX, ChangeLog};
pub use names::{Name, Names};
pub use recent::{RECENT_MS, Recent};
pub use repeats::Inferred;
pub use request_keys::RequestKeys;
pub use signals::{Bucket, COARSE_MS, FINE_MS, SERIES_SILENT_MS, SignalHistory, SourceHistory};
pub use watermark::{StreamId, Watermark};
pub use window::{Cell, CellKey, ClosedWindow, SignalCell, Window, ratio};
