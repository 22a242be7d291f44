//! Pages: from transitions to what a person is told, once. Pure; time comes with each step.
//!
//! One page an incident, opened by its first alert that fires, updated for what matters, resolved once nothing of its
//! severity fires any more. A ticket about what an open critical page names as its cause is told inside it. More pages
//! than a person can read are one storm page. What opens and closes again and again stays open until it is quiet.
//!
//! Event time alone opens and resolves; the wall clock ends silences and acknowledgements. Every step's changes are one
//! [`JournalEntry`]: entries read back give the same state, so that a restart forgets nothing and repeats nothing.

mod changes;
mod commands;
mod journaled;
mod opening;
mod page_state;
mod pager;
#[cfg(test)]
mod property_tests;
mod render;
#[cfg(test)]
mod restart_tests;
mod restore;
mod settings;
mod settling;
mod silence;
#[cfg(test)]
mod silence_tests;
mod state;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use changes::{ChangeReason, PageChange, PagerCounts, event_name};
pub use commands::{ACKNOWLEDGEMENT_MS_MAX, Command, CommandError, Obeyed, SilenceChange};
pub use page_state::Acknowledgement;
pub use pager::{Decided, FIRING_MAX, PAGES_OPEN_MAX, PAGES_RESOLVED_MAX, Pager};
pub use settings::PagerSettings;
pub use silence::{Comparison, MATCHERS_MAX, Matcher, SILENCE_MS_MAX, SILENCES_MAX, Silence, WORDS_BYTES_MAX};
pub use state::{JournalEntry, PagerState};
pub use view::{PageStanding, PageView, PagerView};
