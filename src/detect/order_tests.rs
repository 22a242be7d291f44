//! The order of events, how they are spread over streams, and who counted which customers must not show: not in what windows
//! hold, not in what is said.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use proptest::prelude::*;
use rustc_hash::FxBuildHasher;

use super::test_logs::Pattern;
use super::test_traffic::{Lcg, at, request, signal};
use crate::alert::Rules;
use crate::config::FlowConfig;
use crate::detect::Limits;
use crate::flow::{Assembler, Cell, CellKey, ClosedWindow, Hop, HopSums, Latencies, Name, StreamId};
use crate::model::{Attributes, Change, ChangeKind, Event, Request, Text, Timestamp};
use crate::pipeline::{Pipeline, Settings};

const SECONDS: f64 = 780.0;
const ONSET_S: f64 = 480.0;
/// The streams' allowed lateness is four seconds, some of which a stream's newest event may be ahead of the others'.
const JITTER_S: f64 = 1.9;

/// Customers who tell attempts, keys or nothing and repeat without end; calls behind them, readings, queries, a change.
fn storm_log(seed: u64) -> Vec<Event> {
    let mut random = Lcg(seed);
    let mut events = Vec::new();
    for arrival in random.arrivals(0.0, SECONDS, |_| 3.0, 3.0) {
        let customer = random.below(12);
        let route = if random.next() < 0.7 { "Search" } else { "Open" };
        let (mut time, key) = (arrival, Text::from(format!("key-{}", random.0)));
        for attempt in 1..40_u32 {
            let share = if time >= ONSET_S && route == "Search" { 0.9 } else { 0.005 };
            let failed = random.next() < share;
            let repeated = Request {
                client: Some(Text::from("cli")),
                client_version: Some(Text::from(if customer.is_multiple_of(2) { "4.0" } else { "3.9" })),
                status: if failed { 503 } else { 200 },
                duration_ms: random.duration_ms(40.0),
                attempt: customer.is_multiple_of(3).then_some(attempt),
                request_key: (customer % 3 == 1).then(|| key.clone()),
                request_id: Some(Text::from(format!("r-{}", random.0))),
                ..request(time, customer, ("", "api", route))
            };
            events.push(Event::Request(repeated));
            for _ in 0..random.times(1.2) {
                let mut call = request(time, customer, ("api", "store", "Read"));
                call.request_key = Some(Text::from(format!("item-{}", random.below(20))));
                events.push(Event::Request(call));
            }
            time += 0.3 + random.next();
            if !failed || time >= SECONDS || customer % 2 == 1 && attempt >= 3 {
                break;
            }
        }
    }
    let (mut hits, mut misses) = (0.0, 0.0);
    for step in 0..78_u32 {
        let time = f64::from(step) * 10.0;
        hits += random.count(if time < ONSET_S { 95.0 } else { 20.0 });
        misses += random.count(if time < ONSET_S { 5.0 } else { 80.0 });
        events.push(signal(time, "cache/items", "cache_hits_total", hits));
        events.push(signal(time, "cache/items", "cache_misses_total", misses));
        let memory = 4e8 + (time - ONSET_S).max(0.0) * 2e6;
        events.push(signal(time, "container/api-1", "memory_used_bytes", memory));
        events.push(signal(time, "container/api-1", "memory_limit_bytes", 1e9));
    }
    let pattern = Pattern::new("SELECT events", "dashboard");
    for time in random.arrivals(0.0, SECONDS, |_| 0.5, 0.5) {
        events.push(Event::Query(Box::new(pattern.run(time, &mut random))));
    }
    events.push(Event::Change(Change {
        timestamp: at(ONSET_S - 5.0),
        kind: ChangeKind::Release,
        service: Text::from("cli"),
        version: Some(Text::from("4.0")),
        title: None,
        url: None,
        attributes: Attributes::default(),
    }));
    events.sort_by_key(Event::timestamp);
    events
}

/// The log as it may come: a little late, and over `streams` streams by chance.
fn as_it_comes(events: &[Event], streams: u32, seed: u64) -> Vec<(StreamId, Event)> {
    let mut random = Lcg(seed);
    let mut coming: Vec<(i64, StreamId, Event)> = events
        .iter()
        .map(|event| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let (delay_ms, stream) =
                ((random.next() * JITTER_S * 1_000.0) as i64, (random.next() * f64::from(streams)) as u32);
            (event.timestamp().as_millis() + delay_ms, StreamId(stream), event.clone())
        })
        .collect();
    coming.sort_by_key(|(arrival, ..)| *arrival);
    coming.into_iter().map(|(_, stream, event)| (stream, event)).collect()
}

/// What a window holds, in words: names get their numbers in order of arrival.
fn described(window: &ClosedWindow, assembler: &Assembler) -> String {
    let text = |name: Name| assembler.names().text(name).to_string();
    let sorted = |mut lines: Vec<String>| {
        lines.sort_unstable();
        lines.join("\n")
    };
    let cells = window.cells.iter().map(|(key, cell)| {
        let names = [key.subscription, key.client, key.client_version, key.service, key.caller, key.route];
        format!("{:?} {cell:?}", names.map(text))
    });
    let hops =
        window.hops.iter().map(|(hop, sums)| format!("{:?} {sums:?}", [hop.caller, hop.service, hop.route].map(text)));
    let readings =
        window.signals.iter().map(|((source, metric), cell)| format!("{} {} {cell:?}", text(*source), text(*metric)));
    let durations = window
        .latencies
        .iter()
        .map(|((service, route), latencies)| format!("{} {} {latencies:?}", text(*service), text(*route)));
    let parts =
        [sorted(cells.collect()), sorted(hops.collect()), sorted(readings.collect()), sorted(durations.collect())];
    format!("{} {:?}\n{}", window.start, window.total, parts.join("\n"))
}

fn windows(events: &[(StreamId, Event)], streams: u32) -> Vec<String> {
    let mut assembler = Assembler::new(&FlowConfig::default());
    (0..streams).for_each(|stream| assembler.watermark_mut().add(StreamId(stream)));
    let mut closed = Vec::new();
    for (stream, event) in events {
        assembler.apply(*stream, event);
        while let Some(window) = assembler.close_next() {
            closed.push(described(&window, &assembler));
        }
    }
    while let Some(window) = assembler.finish_next() {
        closed.push(described(&window, &assembler));
    }
    assert_eq!((assembler.counts().late, assembler.counts().overflowed), (0, 0));
    closed
}

/// What windows of one start count together, by name.
#[derive(Debug, Default, PartialEq)]
struct Merged {
    total: Cell,
    edge_total: Cell,
    cells: BTreeMap<String, Cell>,
    hops: BTreeMap<String, HopSums>,
    latencies: BTreeMap<String, Latencies>,
}

impl Merged {
    fn merge(&mut self, other: Self) {
        self.total.add(&other.total);
        self.edge_total.add(&other.edge_total);
        other.cells.into_iter().for_each(|(name, cell)| self.cells.entry(name).or_default().add(&cell));
        other.hops.into_iter().for_each(|(name, sums)| self.hops.entry(name).or_default().merge(&sums));
        other.latencies.into_iter().for_each(|(name, part)| self.latencies.entry(name).or_default().merge(&part));
    }

    fn of(window: &ClosedWindow, assembler: &Assembler) -> Self {
        let named = |names: &[Name]| {
            format!("{:?}", names.iter().map(|name| assembler.names().text(*name)).collect::<Vec<_>>())
        };
        let cell_name = |key: &CellKey| {
            named(&[key.subscription, key.client, key.client_version, key.service, key.caller, key.route])
        };
        let hop_name = |hop: &Hop| named(&[hop.caller, hop.service, hop.route]);
        Self {
            total: window.total,
            edge_total: window.edge_total,
            cells: window.cells.iter().map(|(key, cell)| (cell_name(key), *cell)).collect(),
            hops: window.hops.iter().map(|(hop, sums)| (hop_name(hop), *sums)).collect(),
            latencies: window
                .latencies
                .iter()
                .map(|((service, route), part)| (named(&[*service, *route]), part.clone()))
                .collect(),
        }
    }
}

/// The requests of `events`, counted by one who sees no others, by window.
fn counted(events: &[Event]) -> Vec<(Timestamp, Merged)> {
    let mut assembler = Assembler::new(&FlowConfig::default());
    assembler.watermark_mut().add(StreamId(0));
    let mut closed = Vec::new();
    for event in events {
        assembler.apply(StreamId(0), event);
        while let Some(window) = assembler.close_next() {
            closed.push((window.start, Merged::of(&window, &assembler)));
        }
    }
    while let Some(window) = assembler.finish_next() {
        closed.push((window.start, Merged::of(&window, &assembler)));
    }
    closed
}

fn merged(parts: Vec<(Timestamp, Merged)>) -> BTreeMap<Timestamp, Merged> {
    let mut whole: BTreeMap<Timestamp, Merged> = BTreeMap::new();
    parts.into_iter().for_each(|(start, part)| whole.entry(start).or_default().merge(part));
    whole.retain(|_, merged| merged.total.requests > 0);
    whole
}

fn said(events: &[(StreamId, Event)], streams: u32) -> String {
    let settings =
        Settings { flow: FlowConfig::default(), rules: Rules::shipped().unwrap(), limits: Limits::shipped().unwrap() };
    let mut pipeline = Pipeline::new(&settings);
    (0..streams).for_each(|stream| pipeline.add_stream(StreamId(stream)));
    let mut outputs = Vec::new();
    for (stream, event) in events {
        outputs.extend(pipeline.apply(*stream, event));
    }
    outputs.extend(pipeline.finish());
    outputs.iter().map(|output| serde_json::to_string(output).unwrap() + "\n").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn partial_windows_of_whole_customers_merge_in_any_order_to_the_windows_of_all(
        seed in 0_u64..1_000, members in 2_u64..6, order in any::<u64>(),
    ) {
        // What is inferred of requests that tell nothing of their attempts leans on everybody's: that is not summed.
        let tells = |request: &Request| request.attempt.is_some() || request.request_key.is_some();
        let requests: Vec<Event> = storm_log(seed)
            .into_iter()
            .filter(|event| matches!(event, Event::Request(request) if tells(request)))
            .collect();
        let owner = |event: &Event| match event {
            Event::Request(request) => FxBuildHasher.hash_one(&request.subscription) % members,
            _ => unreachable!("only requests are left"),
        };
        let mut parts: Vec<(Timestamp, Merged)> = (0..members)
            .flat_map(|member| {
                counted(&requests.iter().filter(|event| owner(event) == member).cloned().collect::<Vec<_>>())
            })
            .collect();
        let mut random = Lcg(order);
        for i in (1..parts.len()).rev() {
            parts.swap(i, random.below(i as u32 + 1) as usize);
        }
        prop_assert_eq!(merged(parts), merged(counted(&requests)));
    }

    #[test]
    fn any_order_inside_the_lateness_over_any_streams_gives_the_same_windows_and_the_same_words(
        seed in 0_u64..1_000, streams in 1_u32..6, order in any::<u64>(),
    ) {
        let events = storm_log(seed);
        let in_order: Vec<(StreamId, Event)> = events.iter().map(|event| (StreamId(0), event.clone())).collect();
        let coming = as_it_comes(&events, streams, order);
        prop_assert_eq!(windows(&coming, streams), windows(&in_order, 1));
        let expected = said(&in_order, 1);
        prop_assert!(expected.contains("RetryAmplification") && expected.contains("firing"), "{}", expected);
        prop_assert_eq!(said(&coming, streams), expected);
    }
}
