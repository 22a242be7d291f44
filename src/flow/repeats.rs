//! Repeats of requests that tell neither attempt nor key, inferred from their own failures.
//!
//! Each stream is its own control, as in a self-controlled case series (Farrington, Biometrics 51, 1995): requests soon
//! after a failure are held against those that the stream's own pace brings in the same time. Who asks at a fixed interval
//! whatever the answer, and who is busy anyway, gives no evidence.

use rustc_hash::{FxHashMap, FxHashSet};

use super::chain::{Chain, Links};
use super::crowd::{Crowd, CrowdWindow};
use super::demand::{Demands, Pace, StreamKey, seconds};
use super::excess::Account;
use super::names::Name;
use super::window::{Cell, CellKey};
use crate::model::{DurationMs, Timestamp};

/// Streams in trouble followed at once; repeats of further ones are not seen, and are counted.
const TROUBLED_MAX: usize = 100_000;
/// Client versions of one stream followed at once.
const VERSIONS_MAX: usize = 4;
/// A later request is no repeat: SDKs back off for 20 to 60 s at most (AWS SDK 20 s, gRPC 120 s, with jitter half of it).
const PATIENCE_MS_MAX: DurationMs = 60_000;
/// Nor is one that comes no sooner than this share of the stream's usual gap.
const PATIENCE_SHARE: f64 = 0.5;
/// Requests a second from which on nothing can be told from when a request comes.
const BUSY_PACE: f64 = 0.5;
/// A request that comes by chance after a chain brings up to two repeats of its own, which count as beyond the third too.
const CHANCE_CLUSTER: f64 = 3.0;

/// What is inferred of requests without attempt and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inferred {
    /// Requests soon after a failure of their stream, or paid for by failures. They count in `Cell::resends` too.
    pub resends: u64,
    /// As many of these as the stream's own pace brings, in thousandths.
    pub resends_by_chance_milli: u64,
    /// Of the resends, those beyond the third attempt. They do not count in `Cell::resends_beyond_budget`.
    pub beyond_budget: u64,
    /// As many of these as the stream's own pace brings, in thousandths.
    pub beyond_by_chance_milli: u64,
    /// Requests of streams without a recent failure.
    pub firsts: u64,
    /// As many of these as the stream's own pace brings, with as many times more as the whole platform sees; in
    /// thousandths.
    pub firsts_expected_milli: u64,
}

impl Inferred {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.resends += other.resends;
        self.resends_by_chance_milli += other.resends_by_chance_milli;
        self.beyond_budget += other.beyond_budget;
        self.beyond_by_chance_milli += other.beyond_by_chance_milli;
        self.firsts += other.firsts;
        self.firsts_expected_milli += other.firsts_expected_milli;
    }

    /// Takes away what was added before.
    pub fn subtract(&mut self, other: &Self) {
        self.resends -= other.resends;
        self.resends_by_chance_milli -= other.resends_by_chance_milli;
        self.beyond_budget -= other.beyond_budget;
        self.beyond_by_chance_milli -= other.beyond_by_chance_milli;
        self.firsts -= other.firsts;
        self.firsts_expected_milli -= other.firsts_expected_milli;
    }
}

/// A request without attempt and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmarked {
    /// Where it was counted.
    pub cell: CellKey,
    /// When.
    pub timestamp: Timestamp,
    /// How it was answered.
    pub answer: Answer,
}

/// How a request was answered, as far as repeats go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Served, or refused for good.
    Settled,
    /// Turned away (429).
    TurnedAway,
    /// Failed: a 5xx, or none at all.
    Failed,
}

impl Answer {
    /// Of a status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            429 => Self::TurnedAway,
            0 | 500.. => Self::Failed,
            _ => Self::Settled,
        }
    }
}

#[derive(Debug, Default)]
struct Trouble {
    chains: Vec<((Name, Name), Chain)>,
    account: Account,
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.chains.is_empty() && self.account.is_over()
    }
}

/// What was inferred of one combination.
#[derive(Debug)]
struct Found {
    cell: CellKey,
    inferred: Inferred,
    /// Requests after no failure that waits, ...
    firsts: u64,
    /// ... and as many as the stream's own pace brings while one waited, in thousandths.
    waited_milli: u64,
    /// Requests that are surely nobody's repeats.
    clear_firsts: u64,
    /// As many as the stream's own pace brings while repeats could not be told from them, in thousandths.
    unclear_milli: u64,
}

/// The window being closed.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: Timestamp,
    end: Timestamp,
}

/// In which a stream is followed.
#[derive(Debug, Clone, Copy)]
struct Setting {
    span: Span,
    /// Seconds since the stream was seen last.
    pause_s: f64,
    /// Times the usual demand that the platform sees.
    crowd: f64,
}

/// State over closed windows.
#[derive(Debug, Default)]
pub struct Repeats {
    demands: Demands,
    troubled: FxHashMap<StreamKey, Trouble>,
    crowd: Crowd,
    overflowed: u64,
}

impl Repeats {
    /// Counts what can be inferred from the `unmarked` requests of a window into its `cells`.
    pub fn infer(
        &mut self,
        (start, end): (Timestamp, Timestamp),
        unmarked: &mut Vec<Unmarked>,
        cells: &mut FxHashMap<CellKey, Cell>,
        cells_max: usize,
    ) {
        let span = Span { start, end };
        self.demands.sweep(start);
        let failing = unmarked.iter().filter(|request| request.answer != Answer::Settled);
        let mut troubled: FxHashSet<StreamKey> = failing.map(|request| StreamKey::of(&request.cell)).collect();
        troubled.extend(self.troubled.keys());
        let window_s = seconds(end.since(start));
        let usual_per_s = self.demands.pace_of_all();
        let quiet_firsts = self.learn(span, &troubled, cells);
        unmarked.retain(|request| troubled.contains(&StreamKey::of(&request.cell)));
        unmarked.sort_unstable_by_key(|r| {
            (StreamKey::of(&r.cell), r.timestamp, r.answer, r.cell.client, r.cell.client_version)
        });
        let mut found = Vec::new();
        for requests in unmarked.chunk_by(|a, b| StreamKey::of(&a.cell) == StreamKey::of(&b.cell)) {
            let stream = StreamKey::of(&requests[0].cell);
            troubled.remove(&stream);
            self.follow(stream, requests, span, &mut found);
        }
        for stream in troubled {
            self.follow(stream, &[], span, &mut found);
        }
        let failed = unmarked.iter().filter(|request| request.answer != Answer::Settled).count() as u64;
        let sum = |of: fn(&Found) -> u64| found.iter().map(of).sum::<u64>();
        let usual = usual_per_s * window_s;
        self.crowd.count(&CrowdWindow {
            clear_firsts: quiet_firsts + sum(|found| found.clear_firsts),
            clear_expected: usual - sum(|found| found.unclear_milli) as f64 / 1_000.0,
            firsts: quiet_firsts + sum(|found| found.firsts),
            expected: usual - sum(|found| found.waited_milli) as f64 / 1_000.0,
            usual,
            failing: super::ratio(failed, unmarked.len() as u64),
        });
        for Found { cell, inferred, .. } in found {
            // A chain that waits in vain is evidence too, in a window without requests of its own.
            if cells.len() < cells_max || cells.contains_key(&cell) {
                let cell = cells.entry(cell).or_default();
                cell.resends += inferred.resends;
                cell.inferred.add(&inferred);
            }
        }
    }

    /// What a bound left out.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed + self.demands.overflowed()
    }

    /// Learns the pace of streams without trouble. Gives how many requests came of those whose pace was known.
    fn learn(&mut self, span: Span, troubled: &FxHashSet<StreamKey>, cells: &mut FxHashMap<CellKey, Cell>) -> u64 {
        let counts =
            |key: &CellKey, cell: &Cell| key.subscription != Name::OTHER && cell.requests > cell.attempts_known;
        let mut streams: FxHashMap<StreamKey, (u64, f64)> = FxHashMap::default();
        for (key, cell) in cells.iter().filter(|(key, cell)| counts(key, cell)) {
            let stream = StreamKey::of(key);
            if !troubled.contains(&stream) {
                streams.entry(stream).or_default().0 += cell.requests - cell.attempts_known;
            }
        }
        let window_s = seconds(span.end.since(span.start));
        let (mut firsts, crowd) = (0, self.crowd.factor());
        for (stream, (requests, expected)) in &mut streams {
            let pace = self.demands.pace(*stream, window_s);
            let elapsed_s = self.demands.learn(*stream, *requests, span.start, span.end);
            *expected = pace.map_or(0.0, |pace| pace.mean * crowd * elapsed_s);
        }
        for (key, cell) in cells.iter_mut().filter(|(key, cell)| counts(key, cell)) {
            if let Some((requests, expected)) = streams.get(&StreamKey::of(key)).filter(|(_, expected)| *expected > 0.0)
            {
                let own = cell.requests - cell.attempts_known;
                cell.inferred.firsts += own;
                cell.inferred.firsts_expected_milli += milli(*expected * super::ratio(own, *requests));
                firsts += own;
            }
        }
        firsts
    }

    /// Follows a stream in trouble through a window.
    fn follow(&mut self, stream: StreamKey, requests: &[Unmarked], span: Span, found: &mut Vec<Found>) {
        let window_s = seconds(span.end.since(span.start));
        let pause_s = self.demands.skip(stream, span.start, span.end);
        let Some(pace) = self.demands.pace(stream, window_s) else { return };
        if self.troubled.len() >= TROUBLED_MAX && !self.troubled.contains_key(&stream) {
            self.overflowed += 1;
            return;
        }
        let crowd = self.crowd.factor();
        let trouble = self.troubled.entry(stream).or_default();
        if pace.in_bursts >= BUSY_PACE {
            settle(trouble, requests, pace, window_s, found);
        } else {
            let setting = Setting { span, pause_s, crowd };
            link(trouble, stream, requests, pace, setting, found);
        }
        if trouble.is_over() {
            self.troubled.remove(&stream);
        }
    }
}

/// Streams slow enough to tell a repeat from when it comes.
fn link(
    trouble: &mut Trouble,
    stream: StreamKey,
    requests: &[Unmarked],
    pace: Pace,
    Setting { span, pause_s, crowd }: Setting,
    found: &mut Vec<Found>,
) {
    for request in requests {
        let version = (request.cell.client, request.cell.client_version);
        let known = trouble.chains.iter().any(|(of, _)| *of == version);
        if !known && trouble.chains.len() < VERSIONS_MAX {
            trouble.chains.push((version, Chain::new(span.start)));
        }
    }
    #[allow(clippy::cast_possible_truncation)] // at most PATIENCE_MS_MAX
    let patience_ms = (PATIENCE_SHARE * 1_000.0 / (pace.in_bursts * crowd)).min(PATIENCE_MS_MAX as f64) as DurationMs;
    let versions = trouble.chains.len() as f64;
    let window_s = seconds(span.end.since(span.start));
    for (version, chain) in &mut trouble.chains {
        let of_version = requests.iter().filter(|r| (r.cell.client, r.cell.client_version) == *version);
        let answers: Vec<(Timestamp, bool)> =
            of_version.map(|request| (request.timestamp, request.answer != Answer::Settled)).collect();
        let links = chain.follow(&answers, span.end, patience_ms);
        found.push(Found {
            cell: stream.with_version(*version),
            inferred: inferred(links, pace, crowd, pause_s / versions),
            firsts: links.firsts,
            waited_milli: milli(pace.mean * links.resend_s),
            clear_firsts: links.clear_firsts,
            unclear_milli: milli(pace.mean * (window_s / versions - links.clear_s).max(0.0)),
        });
    }
    trouble.chains.retain(|(_, chain)| !chain.is_over());
}

fn inferred(links: Links, pace: Pace, crowd: f64, pause_s: f64) -> Inferred {
    // In a crowd chance brings more.
    let by_chance = pace.in_bursts * crowd;
    Inferred {
        resends: links.resends,
        resends_by_chance_milli: milli(by_chance * links.resend_s),
        beyond_budget: links.beyond_budget,
        beyond_by_chance_milli: milli(CHANCE_CLUSTER * by_chance * links.beyond_s),
        firsts: links.clear_firsts,
        firsts_expected_milli: milli(pace.mean * crowd * (pause_s + links.clear_s)),
    }
}

/// Streams so busy that only growth tells.
fn settle(trouble: &mut Trouble, requests: &[Unmarked], pace: Pace, window_s: f64, found: &mut Vec<Found>) {
    let answers: Vec<(Timestamp, bool)> =
        requests.iter().map(|request| (request.timestamp, request.answer == Answer::Failed)).collect();
    let excess = trouble.account.settle(&answers, pace, window_s);
    let mut failures: FxHashMap<CellKey, (u64, u64)> = FxHashMap::default();
    for request in requests {
        let of = failures.entry(request.cell).or_default();
        of.0 += 1;
        of.1 += u64::from(request.answer == Answer::Failed);
    }
    let all: u64 = failures.values().map(|(_, failed)| failed).sum();
    let own_pace = pace.mean * window_s;
    for (key, (own, failed)) in failures {
        let share = super::ratio(failed, all);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // neither negative nor more than the requests
        let resends = ((excess.resends * share) as u64).min(own);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let beyond_budget = ((excess.beyond_budget * share) as u64).min(resends);
        let beyond_by_chance_milli = milli(excess.beyond_by_chance * share);
        let firsts_expected_milli = milli(own_pace * super::ratio(own, requests.len() as u64));
        let firsts = own - resends;
        let inferred = Inferred {
            resends,
            beyond_budget,
            beyond_by_chance_milli,
            firsts,
            firsts_expected_milli,
            ..Inferred::default()
        };
        found.push(Found { cell: key, inferred, firsts, waited_milli: 0, clear_firsts: firsts, unclear_milli: 0 });
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // never negative
fn milli(value: f64) -> u64 {
    (value * 1_000.0).round() as u64
}
