//! What Redis's `INFO` says, as signals. Fields that are absent or no numbers give none.

use std::collections::HashMap;

use super::signal;
use crate::model::{Event, Timestamp};

/// Field of `INFO` and the metric it is, unchanged.
const FIELDS: [(&str, &str); 9] = [
    ("used_memory", "memory_used_bytes"),
    ("total_commands_processed", "operations_total"),
    ("evicted_keys", "evicted_keys_total"),
    ("keyspace_hits", "cache_hits_total"),
    ("keyspace_misses", "cache_misses_total"),
    ("uptime_in_seconds", "uptime_seconds"),
    ("connected_clients", "clients_connected"),
    ("maxclients", "clients_limit"),
    ("rejected_connections", "connections_rejected_total"),
];

/// The signals of one `INFO`, in a fixed order.
pub(super) fn signals(info: &str, source: &str, now: Timestamp) -> Vec<Event> {
    let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let number = |field: &str| {
        let value: f64 = fields.get(field)?.trim().parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    };
    let mut events: Vec<Event> =
        FIELDS.iter().filter_map(|(field, metric)| Some(signal(now, source, metric, number(field)?))).collect();
    // 0 means that there is no limit.
    let limit = number("maxmemory").filter(|limit| *limit > 0.0);
    events.extend(limit.map(|limit| signal(now, source, "memory_limit_bytes", limit)));
    if let (Some(received), Some(sent)) = (number("total_net_input_bytes"), number("total_net_output_bytes")) {
        events.push(signal(now, source, "network_bytes_total", received + sent));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(info: &str) -> Vec<(String, f64)> {
        let signals = signals(info, "redis/main", Timestamp::from_millis(1));
        let pair = |event: Event| match event {
            Event::Signal(signal) if signal.source == "redis/main" => (signal.metric.to_string(), signal.value),
            other => panic!("{other:?}"),
        };
        signals.into_iter().map(pair).collect()
    }

    #[test]
    fn fields_become_signals_and_nonsense_becomes_none() {
        let info = "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:2097152\r\n\
                    # Stats\r\ntotal_net_input_bytes:10\r\ntotal_net_output_bytes:32\r\nkeyspace_hits:-1\r\n\
                    evicted_keys:many\r\nconnected_clients\r\n";
        let expected =
            [("memory_used_bytes", 1_048_576.0), ("memory_limit_bytes", 2_097_152.0), ("network_bytes_total", 42.0)];
        assert_eq!(read(info), expected.map(|(metric, value)| (metric.to_owned(), value)));
        assert_eq!(read("maxmemory:0\r\ntotal_net_input_bytes:1\r\n"), []);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd(text in "([a-z_]{0,12}:?[-0-9.einfNaN]{0,8}\r?\n?){0,20}") {
            for (_, value) in read(&text) {
                assert!(value.is_finite());
            }
        }
    }
}
