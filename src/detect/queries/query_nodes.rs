//! What queries hold on each ClickHouse node, against what the node has: who is in danger, and through whom.

use rustc_hash::FxHashMap;

use crate::detect::Scene;
use crate::flow::{Name, SourceHistory, ratio};
use crate::model::{DurationMs, Timestamp};

/// A node's own memory reading older than this says nothing about now.
const READING_MS: DurationMs = 60_000;
/// A node that restarted or was killed for memory this recently is in danger.
const KILLED_MS: DurationMs = 300_000;
/// Runs of others that were refused memory, for a node to be in danger.
const VICTIMS_MIN: u64 = 3;

/// What one pattern holds on one node, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Held {
    /// On average over the last minute, by runs that ended; or by those that run now, if that is more.
    pub now_bytes: f64,
    /// By those that run now.
    pub running_bytes: f64,
    /// When as many go on coming and take as long (Little's law), as far as the last minutes tell.
    pub steady_bytes: f64,
    /// Its runs that were refused memory in the last minutes.
    pub memory_refused: u64,
    /// Its runs that ended in the last minutes.
    pub ended: u64,
}

/// One node.
#[derive(Debug, Clone, Default)]
pub struct NodeLoad {
    /// What it has, in bytes, when known.
    pub limit_bytes: Option<f64>,
    /// Its own reading of what it uses, when fresh.
    pub used_bytes: Option<f64>,
    /// What queries hold, in bytes.
    pub held_bytes: f64,
    /// When it was last killed for memory, in the last five minutes.
    pub killed_at: Option<Timestamp>,
    /// When it last restarted, in the last five minutes.
    pub restarted_at: Option<Timestamp>,
    /// By pattern.
    pub patterns: FxHashMap<Name, Held>,
}

/// Why a node is in danger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Danger {
    /// It was killed for memory, or restarted.
    Killed {
        /// When.
        at: Timestamp,
        /// Whether it is known that it was for memory.
        for_memory: bool,
    },
    /// It uses this share of what it has.
    Used(f64),
    /// It will use this share at this pace.
    Projected(f64),
    /// Queries of others were refused memory.
    Victims(u64),
}

impl NodeLoad {
    /// What the node uses: its own reading, or what queries hold.
    #[must_use]
    pub fn base_bytes(&self) -> f64 {
        self.used_bytes.unwrap_or(self.held_bytes).max(if self.used_bytes.is_some() { 0.0 } else { self.held_bytes })
    }

    /// Reads limit, use and kills of the node from its own signals.
    pub fn read_signals(&mut self, history: &SourceHistory, end: Timestamp) {
        self.limit_bytes = self.limit_bytes.or(history.limit_bytes);
        let fresh = history.fine.back().filter(|bucket| end.since(bucket.start) <= READING_MS + 30_000);
        self.used_bytes = self.used_bytes.or(fresh.map(|bucket| bucket.used_bytes));
        let lately = |at: &&Timestamp| end.since(**at) <= KILLED_MS;
        self.killed_at = self.killed_at.max(history.restarts.oom_kills.back().filter(lately).copied());
        self.restarted_at = self.restarted_at.max(history.restarts.newest().filter(|at| lately(&at)));
    }

    /// The danger the node is in that `fingerprint` may be behind; nothing when there is none.
    #[must_use]
    pub fn danger(&self, fingerprint: Name, share_max: f64) -> Option<Danger> {
        let held = self.patterns.get(&fingerprint).copied().unwrap_or_default();
        if let Some(at) = self.killed_at {
            return Some(Danger::Killed { at, for_memory: true });
        }
        if let Some(limit_bytes) = self.limit_bytes {
            let base = self.base_bytes();
            if base >= share_max * limit_bytes {
                return Some(Danger::Used(base / limit_bytes));
            }
            // Memory grows in steps: what runs may double before anybody sees it; what comes goes on coming.
            let steady = base - held.now_bytes + held.steady_bytes.max(held.now_bytes);
            let doubled = base + held.running_bytes;
            if steady.max(doubled) >= limit_bytes {
                return Some(Danger::Projected(steady.max(doubled) / limit_bytes));
            }
        }
        let victims = self.victims(fingerprint);
        if victims >= VICTIMS_MIN {
            return Some(Danger::Victims(victims));
        }
        self.restarted_at.map(|at| Danger::Killed { at, for_memory: false })
    }

    /// Runs of other patterns that were refused memory.
    #[must_use]
    pub fn victims(&self, fingerprint: Name) -> u64 {
        self.patterns.iter().filter(|(name, _)| **name != fingerprint).map(|(_, held)| held.memory_refused).sum()
    }

    /// Share of the node that a number of bytes is: of its limit, else of all that queries hold there.
    #[must_use]
    pub fn share(&self, bytes: f64) -> f64 {
        let whole = self.limit_bytes.unwrap_or(self.held_bytes);
        if whole > 0.0 { bytes / whole } else { 0.0 }
    }
}

impl Held {
    /// Share of its runs that were refused memory.
    #[must_use]
    pub fn refused_share(&self) -> f64 {
        ratio(self.memory_refused, self.ended)
    }
}

/// Finds each node's own signals: a source with its name, `clickhouse/NAME`, or another that ends in it.
pub fn read_signals(nodes: &mut FxHashMap<Name, NodeLoad>, scene: &Scene<'_>) {
    if nodes.is_empty() {
        return;
    }
    let last_part = |text: &str| text.rsplit('/').next().unwrap_or(text).to_lowercase();
    let mut by_part: FxHashMap<String, Vec<Name>> = FxHashMap::default();
    for node in nodes.keys() {
        by_part.entry(last_part(scene.names.text(*node))).or_default().push(*node);
    }
    let rank = |source: &str, node: &str| match source {
        _ if source == node => 0,
        _ if source.starts_with("clickhouse/") => 1,
        _ => 2,
    };
    let mut found: Vec<(Name, usize, &SourceHistory)> = Vec::new();
    for &(source, history) in scene.sources {
        let source = scene.names.text(source);
        for node in by_part.get(&last_part(source)).into_iter().flatten() {
            found.push((*node, rank(source, scene.names.text(*node)), history));
        }
    }
    // Sources are in the order of their names; the sort is stable: the nearest name is read first and wins.
    found.sort_by_key(|(_, rank, _)| *rank);
    for (node, _, history) in found {
        if let Some(load) = nodes.get_mut(&node) {
            load.read_signals(history, scene.window.end);
        }
    }
}
