//! How much a query will read: what the same text, asked by the same user, read before, where that is always alike, else
//! what `EXPLAIN ESTIMATE` says, asked under limits. Texts that ask for one key or another count as the same
//! ([`Points`]). One fingerprint is not enough: a day and three years share it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::access::Access;
use super::credentials::Identity;
use super::leavers::{Leaver, Leavers};
use super::parameters::Parameters;
use super::points::Points;
use super::query_id::random_estimate_id;
use super::upstream::{Upstream, UpstreamError};

/// Texts whose reading is remembered. At the bound all are forgotten, and estimated anew.
const SCANS_MAX: usize = 20_000;
/// Texts whose estimate is remembered. At the bound as above.
const TEXTS_MAX: usize = 10_000;
/// How long an estimate counts: parts come and go.
const ESTIMATE_KNOWN_FOR: Duration = Duration::from_secs(60);
/// Estimates under way at a time; beyond, queries go without.
const ESTIMATES_AT_ONCE_MAX: usize = 4;
/// Longest wait for an estimate. It executes what stands in `IN (SELECT …)`, so it may be as slow as a query; then it is ended.
const ESTIMATE_TIMEOUT: Duration = Duration::from_millis(500);
/// Runs of a text before its reading is called alike.
const RUNS_MIN: u32 = 3;
/// The same, of texts that ask for different keys: some keys may have more rows than others.
const KEYS_RUNS_MIN: u32 = 20;
/// The most is at most so many times the least, where reading is alike.
const SPREAD_MAX: u64 = 4;
/// Below so many rows all scans are small.
const SMALL_ROWS: u64 = 1_000_000;

/// A text with its parameters and its user, hashed.
type TextKey = [u8; 32];

/// The same without the keys that it asks for: by what reading is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ScanKey {
    hash: [u8; 32],
    runs_min: u32,
}

/// An estimate, and when it was made.
type Estimate = (Instant, Option<u64>);

/// As whom, and with what, ClickHouse is asked for an estimate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The query's parameters.
    pub(super) parameters: &'a Parameters,
    /// Its database, where a header names one.
    pub(super) database: Option<&'a [u8]>,
    /// What may be set for its user.
    pub(super) access: &'a Access,
    /// The gate's caps for an estimate.
    pub(super) settings: &'a [(&'static str, String)],
    /// Its user.
    pub(super) identity: &'a Identity,
    /// ClickHouse.
    pub(super) upstream: &'a Upstream,
    /// Who ends it, when it takes too long.
    pub(super) leavers: &'a Leavers,
}

/// An estimate that ClickHouse is asked for. Dropped before its answer, it is ended there.
#[derive(Debug)]
struct UnderWay<'a> {
    leaver: Option<Leaver>,
    leavers: &'a Leavers,
}

/// What is known of reading.
#[derive(Debug)]
pub(super) struct Estimates {
    scans: Mutex<HashMap<ScanKey, Scan>>,
    texts: Mutex<HashMap<TextKey, Estimate>>,
    at_once: Semaphore,
}

/// Rows that queries of one text have read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Scan {
    runs: u32,
    least: u64,
    most: u64,
}

#[derive(Debug, Deserialize)]
struct EstimateRow {
    rows: serde_json::Value,
}

/// Where an estimate came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EstimateSource {
    /// Queries of the same text always read alike.
    Alike,
    /// The same text was estimated less than a minute ago.
    Remembered,
    /// ClickHouse was asked.
    Asked,
    /// It was asked, and gave none: a failure, or too late.
    Failed,
    /// An estimate would say nothing of such a query, or too many were under way.
    NotAsked,
}

impl EstimateSource {
    /// Every source.
    pub const ALL: [Self; 5] = [Self::Alike, Self::Remembered, Self::Asked, Self::Failed, Self::NotAsked];

    /// Name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alike => "alike",
            Self::Remembered => "remembered",
            Self::Asked => "asked",
            Self::Failed => "failed",
            Self::NotAsked => "not_asked",
        }
    }
}

impl Estimates {
    pub(super) fn new() -> Self {
        Self { scans: Mutex::default(), texts: Mutex::default(), at_once: Semaphore::new(ESTIMATES_AT_ONCE_MAX) }
    }

    /// Takes in what a query has read.
    pub(super) fn learn(&self, key: ScanKey, read_rows: u64) {
        let mut scans = lock(&self.scans);
        if scans.len() >= SCANS_MAX && !scans.contains_key(&key) {
            scans.clear();
        }
        let scan = scans.entry(key).or_insert(Scan { runs: 0, least: read_rows, most: read_rows });
        scan.runs = scan.runs.saturating_add(1);
        scan.least = scan.least.min(read_rows);
        scan.most = scan.most.max(read_rows);
    }

    /// A run has failed: what it would have read nobody knows.
    pub(super) fn forget(&self, key: &ScanKey) {
        lock(&self.scans).remove(key);
    }

    fn alike(&self, key: &ScanKey) -> Option<u64> {
        lock(&self.scans).get(key).filter(|scan| scan.is_alike(key.runs_min)).map(|scan| scan.most)
    }

    /// Rows that a query will read, if that can be known, and by what its reading is learned. `question` is its `EXPLAIN
    /// ESTIMATE`.
    pub(super) async fn rows(
        &self,
        question: Option<&str>,
        asker: Asker<'_>,
    ) -> (Option<u64>, EstimateSource, Option<ScanKey>) {
        let Some(question) = question else { return (None, EstimateSource::NotAsked, None) };
        let given = named_by(asker);
        let key = scan_key(question, &given, asker.identity);
        let (rows, source) = match self.alike(&key) {
            Some(rows) => (Some(rows), EstimateSource::Alike),
            None => self.asked(question, given, asker).await,
        };
        (rows, source, Some(key))
    }

    async fn asked(&self, question: &str, given: Parameters, asker: Asker<'_>) -> (Option<u64>, EstimateSource) {
        let key = text_key(question, &given, asker.identity);
        if let Some((at, rows)) = lock(&self.texts).get(&key)
            && at.elapsed() < ESTIMATE_KNOWN_FOR
        {
            return (*rows, EstimateSource::Remembered);
        }
        let Ok(_place) = self.at_once.try_acquire() else { return (None, EstimateSource::NotAsked) };
        let Ok(id) = random_estimate_id() else { return (None, EstimateSource::NotAsked) };
        let asked = ask(question, limited(given, asker, &id), asker, &id).await;
        let (rows, source) = match asked {
            Ok(rows) => (rows.iter().map(EstimateRow::count).sum(), EstimateSource::Asked),
            Err(error) => {
                tracing::debug!(%error, "no estimate");
                (None, EstimateSource::Failed)
            }
        };
        let mut texts = lock(&self.texts);
        if texts.len() >= TEXTS_MAX {
            texts.clear();
        }
        texts.insert(key, (Instant::now(), rows));
        (rows, source)
    }
}

impl Scan {
    fn is_alike(self, runs_min: u32) -> bool {
        self.runs >= runs_min && (self.most < SMALL_ROWS || self.most / SPREAD_MAX <= self.least)
    }
}

impl EstimateRow {
    /// ClickHouse writes numbers of 64 bits as text or as numbers, by a setting.
    fn count(&self) -> Option<u64> {
        self.rows.as_u64().or_else(|| self.rows.as_str().and_then(|text| text.parse().ok()))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(leaver) = self.leaver.take() {
            self.leavers.end(leaver);
        }
    }
}

async fn ask(question: &str, given: Parameters, asker: Asker<'_>, id: &str) -> Result<Vec<EstimateRow>, UpstreamError> {
    let leaver = asker.leavers.claim(None, &asker.identity.user, id);
    let mut under_way = UnderWay { leaver, leavers: asker.leavers };
    let asked = asker.upstream.rows(question.to_owned(), given, asker.identity, ESTIMATE_TIMEOUT).await;
    // Of one that broke off nobody knows whether it runs on.
    if matches!(asked, Ok(_) | Err(UpstreamError::Exception(..))) {
        under_way.leaver = None;
    }
    asked
}

/// What of the client's parameters the estimate needs: what its names mean.
fn named_by(asker: Asker<'_>) -> Parameters {
    let Asker { parameters, database, .. } = asker;
    let mut given = Parameters::default();
    if let Some(database) = database {
        given.set("database", database.to_vec());
    }
    for name in parameters.names().filter_map(|name| std::str::from_utf8(name).ok()) {
        if let Some(value) = parameters.get(name).filter(|_| name == "database" || name.starts_with("param_")) {
            given.set(name, value.to_vec());
        }
    }
    given
}

/// The same with its id, and with the limits that the user may have.
fn limited(mut given: Parameters, asker: Asker<'_>, id: &str) -> Parameters {
    let caps = asker.settings.iter().map(|(name, value)| (*name, value.as_str()));
    // ClickHouse ends what only reads when its client is gone.
    for (name, value) in caps.chain([("log_comment", "floodmark guard"), ("readonly", "2")]) {
        if asker.access.allows(name, value) {
            given.set(name, value);
        }
    }
    given.set("query_id", id);
    given
}

fn scan_key(question: &str, given: &Parameters, identity: &Identity) -> ScanKey {
    let points = Points::of(question);
    let mut given = given.clone();
    for name in &points.parameters {
        given.take(&format!("param_{name}"));
    }
    let runs_min = if points.any { KEYS_RUNS_MIN } else { RUNS_MIN };
    ScanKey { hash: text_key(&points.text, &given, identity), runs_min }
}

fn text_key(question: &str, given: &Parameters, identity: &Identity) -> TextKey {
    let mut hash = Sha256::new();
    hash.update(identity.key);
    hash.update(given.encode());
    hash.update([0]);
    hash.update(question);
    hash.finalize().into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(byte: u8) -> ScanKey {
        ScanKey { hash: [byte; 32], runs_min: RUNS_MIN }
    }

    #[test]
    fn reading_is_alike_after_some_runs_of_about_the_same_size() {
        let estimates = Estimates::new();
        for rows in [2_000_000, 3_000_000] {
            estimates.learn(scan(1), rows);
        }
        assert_eq!(estimates.alike(&scan(1)), None);
        estimates.learn(scan(1), 2_500_000);
        assert_eq!(estimates.alike(&scan(1)), Some(3_000_000));
        estimates.learn(scan(1), 40_000_000);
        assert_eq!(estimates.alike(&scan(1)), None);
        for rows in [1, 50_000, 900_000] {
            estimates.learn(scan(2), rows);
        }
        assert_eq!(estimates.alike(&scan(2)), Some(900_000));
        estimates.forget(&scan(2));
        assert_eq!(estimates.alike(&scan(2)), None);
    }

    #[tokio::test]
    async fn small_runs_of_one_text_say_nothing_of_another_of_its_fingerprint() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let estimates = Estimates::new();
        // Nothing listens there: who asks gets no answer.
        let upstream = Upstream::new("http://127.0.0.1:1", crate::client_tls::client_config(None).unwrap()).unwrap();
        let (user, tenant) = ("ann".to_owned(), "ann".to_owned());
        let password = crate::config::Secret::new(String::new());
        let identity = Identity { tenant, user, password, is_known: true, key: [7; 32] };
        let (parameters, access) = (Parameters::default(), Access::default());
        let (leavers, _ended) = Leavers::new(std::sync::Arc::default());
        let asker = |database| Asker {
            parameters: &parameters,
            database,
            access: &access,
            settings: &[],
            identity: &identity,
            upstream: &upstream,
            leavers: &leavers,
        };
        let day = "EXPLAIN ESTIMATE SELECT a FROM t WHERE d >= '2026-01-01'";
        let (rows, source, scan) = estimates.rows(Some(day), asker(None)).await;
        assert_eq!((rows, source), (None, EstimateSource::Failed));
        for _ in 0..RUNS_MIN {
            estimates.learn(scan.unwrap(), 800_000);
        }
        let again = estimates.rows(Some(day), asker(None)).await;
        assert_eq!((again.0, again.1), (Some(800_000), EstimateSource::Alike));
        let years = day.replace("2026", "2023");
        assert_eq!(estimates.rows(Some(&years), asker(None)).await.1, EstimateSource::Failed);
        assert_eq!(estimates.rows(Some(day), asker(Some(b"other"))).await.1, EstimateSource::Failed);
    }

    #[test]
    fn one_key_reads_like_another_after_many_runs() {
        let identity = Identity {
            tenant: "ann".to_owned(),
            user: "ann".to_owned(),
            password: crate::config::Secret::new(String::new()),
            is_known: true,
            key: [7; 32],
        };
        let key = |sql: &str, parameters: &str| scan_key(sql, &Parameters::parse(parameters), &identity);
        let five = key("EXPLAIN ESTIMATE SELECT v FROM t WHERE n = 5", "");
        assert_eq!(five, key("EXPLAIN ESTIMATE SELECT v FROM t WHERE n = 7", ""));
        assert_ne!(five, key("EXPLAIN ESTIMATE SELECT v FROM t WHERE n >= 5", ""));
        let given = "EXPLAIN ESTIMATE SELECT v FROM t WHERE n = {n:UInt64} AND d >= {d:Date}";
        assert_eq!(key(given, "param_n=5&param_d=2026-01-01"), key(given, "param_n=7&param_d=2026-01-01"));
        assert_ne!(key(given, "param_n=5&param_d=2026-01-01"), key(given, "param_n=5&param_d=2023-01-01"));
        let estimates = Estimates::new();
        for _ in 1..KEYS_RUNS_MIN {
            estimates.learn(five, 8_192);
        }
        assert_eq!(estimates.alike(&five), None);
        estimates.learn(five, 16_384);
        assert_eq!(estimates.alike(&five), Some(16_384));
        estimates.learn(five, 500_000_000);
        assert_eq!(estimates.alike(&five), None, "one key has far more rows: each is estimated again");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let estimates = Estimates::new();
        for number in 0..SCANS_MAX + 10 {
            estimates.learn(ScanKey { hash: Sha256::digest(number.to_le_bytes()).into(), runs_min: RUNS_MIN }, 1);
        }
        assert!(lock(&estimates.scans).len() <= SCANS_MAX);
    }
}
