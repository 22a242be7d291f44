//! News for those who subscribed to the status page.

use serde::{Deserialize, Serialize};

/// Something public changed. It holds nothing that is not public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicNews {
    /// Identity: the same for every repeat.
    pub id: String,
    /// What it is about, in a word or two: `component api`, `incident 4f9`.
    pub subject: String,
    /// JSON.
    pub body: String,
}
