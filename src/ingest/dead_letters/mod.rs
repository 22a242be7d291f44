//! Dead letters: refused records with their reason and position, in a topic of their own; reading and replaying them.

mod original;
mod queue;
mod reader;
mod replay;
mod replay_plan;

pub use queue::DeadLetter;
pub(in crate::ingest) use queue::{DeadLetterQueue, Letter};
pub use reader::{LetterReader, LettersError, Placed, Settled, StoredLetter};
pub use replay::{REPLAYED_FROM, ReplayCounts, ReplayOptions, replay};
