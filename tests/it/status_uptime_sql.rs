//! Sums by day and uptime are what ClickHouse finds from the same spans, which knows nothing of our days: it cuts time into
//! quarters of an hour, asks the zone of which day each is, and adds.

use std::collections::BTreeMap;

use floodmark::model::Timestamp;
use floodmark::status::render::public_files;
use floodmark::status::uptime::{days, share};
use floodmark::status::{ComponentState, DAYS_SHOWN, DayView, StateSpan};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::support::clickhouse::{TestDatabase, fresh_database};
use crate::support::status_boards::{at, well};

/// With hours that are left out and had twice, at two, at midnight and at a quarter to three; half an hour of that; and
/// zones that are not whole hours away.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
];
/// Ninety days up to these have changes of clocks in spring, and in autumn.
const NOWS: [&str; 2] = ["2026-05-15T00:00:00Z", "2026-11-28T00:00:00Z"];
const SEEDS: u64 = 12;
const DAY_MS: i64 = 86_400_000;
/// Every zone's days begin and end with one.
const QUARTER_MS: i64 = 900_000;

/// Milliseconds of a state in a day.
#[derive(Deserialize)]
struct Sum {
    date: String,
    state: String,
    ms: i64,
}

/// Spans without an order, over and beside each other, of three months and a little more, and a moment.
fn random_case(seed: u64) -> (Vec<StateSpan>, Timestamp) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move |below: i64| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % u64::try_from(below).unwrap()).unwrap()
    };
    let now = at(NOWS[usize::try_from(seed).unwrap() % NOWS.len()]).plus(random(DAY_MS));
    let spans = (0..60).map(|_| {
        let from = now.plus(-random(95 * DAY_MS));
        // Some last seconds, some days; some are after now; one in ten is of maintenance or unknown over what is below.
        let length = [1, 10_000, 3_600_000, DAY_MS, 9 * DAY_MS][usize::try_from(random(5)).unwrap()];
        let state = ComponentState::ALL[usize::try_from(random(6)).unwrap()];
        StateSpan { state, from, until: from.plus(random(length)) }
    });
    (spans.collect(), now)
}

/// The sums by day and state, from ClickHouse.
async fn asked(database: &TestDatabase, spans: &[StateSpan], zone: &str, now: Timestamp) -> Vec<Sum> {
    let first = now.plus(-93 * DAY_MS).window_start(QUARTER_MS).as_millis();
    let (count, now) = ((now.as_millis() - first) / QUARTER_MS + 1, now.as_millis());
    let listed = spans.iter().zip(1..).map(|(span, rank)| {
        format!("({rank}, '{}', {}, {})", span.state.as_str(), span.from.as_millis(), span.until.as_millis())
    });
    let listed = listed.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "WITH spans AS
        (
            SELECT toInt32(span.1) AS rank, span.2 AS state, toInt64(span.3) AS from_ms, toInt64(span.4) AS until_ms
            FROM (SELECT arrayJoin([{listed}]) AS span)
        ),
        borders AS
        (
            SELECT DISTINCT at_ms
            FROM
            (
                SELECT toInt64({first} + number * {QUARTER_MS}) AS at_ms FROM numbers({count})
                UNION ALL SELECT from_ms FROM spans
                UNION ALL SELECT until_ms FROM spans
            )
            WHERE at_ms >= {first} AND at_ms < {now}
        ),
        pieces AS
        (
            SELECT at_ms, leadInFrame(at_ms, 1, toInt64({now}))
                OVER (ORDER BY at_ms ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS end_ms
            FROM borders
        ),
        told AS
        (
            SELECT at_ms, any(end_ms) AS until_ms, argMaxIf(state, rank, from_ms <= at_ms AND at_ms < spans.until_ms) AS top
            FROM pieces CROSS JOIN spans
            GROUP BY at_ms
        )
        SELECT
            toString(toDate(toTimeZone(fromUnixTimestamp64Milli(at_ms, 'UTC'), '{zone}'))) AS date,
            if(top = '', 'unknown', top) AS state,
            toInt64(sum(dateDiff('millisecond', fromUnixTimestamp64Milli(at_ms, 'UTC'), fromUnixTimestamp64Milli(until_ms, 'UTC')))) AS ms
        FROM told
        GROUP BY date, state
        ORDER BY date, state
        SETTINGS output_format_json_quote_64bit_integers = 0"
    );
    database.admin.fetch(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The same of a day of ours, states without time left out.
fn sums(day: &DayView) -> BTreeMap<&'static str, i64> {
    let all = [
        (ComponentState::Operational, day.operational_ms),
        (ComponentState::DegradedPerformance, day.degraded_ms),
        (ComponentState::PartialOutage, day.partial_ms),
        (ComponentState::MajorOutage, day.major_ms),
        (ComponentState::UnderMaintenance, day.maintenance_ms),
        (ComponentState::Unknown, day.unknown_ms),
    ];
    all.into_iter().filter(|(_, ms)| *ms != 0).map(|(state, ms)| (state.as_str(), ms)).collect()
}

/// Uptime by the formula that is public, of what ClickHouse found.
fn uptime(sums: &BTreeMap<String, BTreeMap<String, i64>>) -> f64 {
    let of = |state: &str| sums.values().filter_map(|day| day.get(state)).sum::<i64>();
    let elapsed: i64 = sums.values().flat_map(BTreeMap::values).sum();
    let known = elapsed - of("under_maintenance") - of("unknown");
    1.0 - (of("major_outage") as f64 + 0.3 * of("partial_outage") as f64) / known as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_and_uptime_are_what_sql_finds() {
    let database = fresh_database().await;
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..SEEDS {
        let (spans, now) = random_case(seed);
        for zone in ZONES {
            let ours = days(&spans, &TimeZone::get(zone).unwrap(), now);
            assert_eq!(ours.len(), DAYS_SHOWN);
            let mut theirs: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
            for sum in asked(&database, &spans, zone, now).await {
                theirs.entry(sum.date).or_default().insert(sum.state, sum.ms);
            }
            theirs.retain(|date, _| *date >= ours[0].date);
            let what = format!("seed {seed}, {zone}, now {now}");
            let named: Vec<&String> = theirs.keys().collect();
            assert_eq!(ours.iter().map(|day| &day.date).collect::<Vec<_>>(), named, "{what}");
            for day in &ours {
                let expected: BTreeMap<&str, i64> =
                    theirs[&day.date].iter().map(|(state, ms)| (state.as_str(), *ms)).collect();
                assert_eq!(sums(day), expected, "{what}, {}", day.date);
                assert_eq!(day.elapsed_ms, expected.values().sum::<i64>(), "{what}, {}", day.date);
                lengths.insert(day.elapsed_ms / QUARTER_MS);
            }
            let expected = uptime(&theirs);
            assert!((share(&ours).unwrap() - expected).abs() < 1e-12, "{what}");
            let public = public_uptime(ours);
            assert!(public <= expected + 1e-12 && expected - public < 1e-6 + 1e-12, "{what}: {public} of {expected}");
        }
    }
    for hours in [23.0, 23.5, 24.0, 24.5, 25.0] {
        assert!(lengths.contains(&((hours * 4.0) as i64)), "no day of {hours} hours was looked at: {lengths:?}");
    }
}

/// What the public is told of these days.
fn public_uptime(days: Vec<DayView>) -> f64 {
    let mut board = well();
    board.components.truncate(1);
    board.components[0].days = days;
    let file = public_files(&board).into_iter().find(|file| file.path == "api/v2/uptime.json").unwrap();
    let document: Value = serde_json::from_slice(&file.body).unwrap();
    document["components"][0]["overall"]["uptime"].as_f64().unwrap()
}
