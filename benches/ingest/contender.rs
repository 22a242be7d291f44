//! How one contender is measured: from the last moment without a row to the last row.

use std::time::{Duration, Instant};

use crate::Arena;
use crate::process::{cpu, forget_peak_memory, memory_bytes, peak_memory_bytes};

/// How often rows are counted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A group's first assignment takes half a session timeout on the demo broker.
const FIRST_ROW_MAX: Duration = Duration::from_secs(90);
/// A contender whose rows have not grown for this long is done, whatever is missing.
const STALLED_AFTER: Duration = Duration::from_secs(20);

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub name: &'static str,
    /// Why there are no numbers.
    pub absent: Option<String>,
    pub records_per_second: f64,
    /// CPU of the contender itself; `None` when it is ClickHouse.
    pub own_cpu: Option<Duration>,
    pub clickhouse_cpu: Option<Duration>,
    pub broker_cpu: Duration,
    pub peak_memory_bytes: Option<u64>,
    /// The most memory it was seen with while each tenth of the records arrived: whether it grows with what lies behind.
    pub memory_bytes_by_tenth: [u64; 10],
    /// Rows in ClickHouse, and how many records they are.
    pub rows: Option<u64>,
    pub distinct: Option<u64>,
}

impl Outcome {
    pub fn absent(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, absent: Some(why.into()), ..Self::default() }
    }
}

/// Which rows count, and whose process it is.
pub struct Watched<'a> {
    pub name: &'static str,
    /// `None`: ClickHouse itself.
    pub pid: Option<u32>,
    /// CPU of ClickHouse and of the broker before the contender was started.
    pub before: (Duration, Duration),
    /// Query for the number of rows so far, and for that of distinct records.
    pub count_sql: &'a str,
    pub distinct_sql: &'a str,
}

/// Before a contender starts: CPU of ClickHouse and of the broker so far. Its peak of memory is forgotten.
pub fn before(arena: &Arena) -> (Duration, Duration) {
    forget_peak_memory(arena.clickhouse.pid);
    shared_cpu(arena)
}

fn shared_cpu(arena: &Arena) -> (Duration, Duration) {
    (cpu(arena.clickhouse.pid), cpu(arena.broker_pid))
}

/// Watches rows arrive until all have, and `done` agrees, or none do any more.
pub async fn watch(arena: &Arena, watched: &Watched<'_>, mut done: impl FnMut() -> bool) -> Outcome {
    let started = now();
    let (mut first, mut last, mut rows) = (started, started, 0);
    let mut memory_bytes_by_tenth = [0; 10];
    let process = watched.pid.unwrap_or(arena.clickhouse.pid);
    loop {
        let looked = now();
        let counted = arena.clickhouse.number(watched.count_sql).await.unwrap_or(0);
        if counted == 0 {
            first = looked;
        }
        if counted > rows {
            (rows, last) = (counted, now());
        }
        let tenth = (rows * 10 / arena.records.max(1)).min(9) as usize;
        memory_bytes_by_tenth[tenth] = memory_bytes(process).max(memory_bytes_by_tenth[tenth]);
        if rows >= arena.records && done() {
            last = now();
            break;
        }
        let patience = if rows == 0 { FIRST_ROW_MAX } else { STALLED_AFTER };
        if now().duration_since(last) > patience {
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    if rows == 0 {
        return Outcome::absent(watched.name, "no row arrived");
    }
    let (clickhouse, broker) = shared_cpu(arena);
    Outcome {
        name: watched.name,
        absent: None,
        records_per_second: rows as f64 / last.duration_since(first).as_secs_f64().max(0.001),
        own_cpu: watched.pid.map(cpu),
        clickhouse_cpu: Some(clickhouse.saturating_sub(watched.before.0)),
        broker_cpu: broker.saturating_sub(watched.before.1),
        peak_memory_bytes: Some(peak_memory_bytes(process)),
        memory_bytes_by_tenth,
        rows: Some(rows),
        distinct: arena.clickhouse.number(watched.distinct_sql).await.ok(),
    }
}

#[allow(clippy::disallowed_methods)] // What a bench is for.
pub fn now() -> Instant {
    Instant::now()
}
