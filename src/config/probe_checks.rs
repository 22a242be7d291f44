//! What types cannot say about `[probes]`.

use std::collections::BTreeSet;

use super::{ProbesConfig, PrometheusMetricConfig, Span};

/// Most targets of all kinds together: each has a task, a connection and a series of ours.
pub const PROBES_MAX: usize = 200;
/// Most mappings of one endpoint.
const MAPPINGS_MAX: usize = 500;

impl ProbesConfig {
    /// All that is wrong: key and message.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Problems::default();
        let count = self.redis.len() + self.prometheus.len() + self.clickhouse.len();
        problems.require(count <= PROBES_MAX, "probes", "must be at most 200 in all");
        problems.names("redis", self.redis.iter().map(|probe| probe.name.as_str()));
        problems.names("prometheus", self.prometheus.iter().map(|probe| probe.name.as_str()));
        problems.names("clickhouse", self.clickhouse.iter().map(|probe| probe.name.as_str()));
        for (i, probe) in self.redis.iter().enumerate() {
            let key = format!("probes.redis[{i}]");
            let has_port = probe
                .address
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
            problems.require(has_port, &format!("{key}.address"), "must be host:port");
            problems.pace(&key, probe.interval, probe.timeout);
            let has_password = probe.password.is_some() || probe.password_file.is_some();
            problems.require(probe.user.is_none() || has_password, &format!("{key}.user"), "needs a password");
            problems.require(probe.ca_file.is_none() || probe.tls, &format!("{key}.ca_file"), "needs tls = true");
        }
        for (i, probe) in self.prometheus.iter().enumerate() {
            let key = format!("probes.prometheus[{i}]");
            problems.url(&key, &probe.url);
            problems.pace(&key, probe.interval, probe.timeout);
            let mappings = probe.metrics.len();
            let message = "must hold between 1 and 500 mappings";
            problems.require((1..=MAPPINGS_MAX).contains(&mappings), &format!("{key}.metrics"), message);
            for (j, metric) in probe.metrics.iter().enumerate() {
                problems.mapping(&format!("{key}.metrics[{j}]"), metric);
            }
        }
        for (i, probe) in self.clickhouse.iter().enumerate() {
            let key = format!("probes.clickhouse[{i}]");
            problems.url(&key, &probe.url);
            problems.pace(&key, probe.interval, probe.timeout);
        }
        problems.0
    }
}

#[derive(Default)]
struct Problems(Vec<(String, String)>);

impl Problems {
    fn require(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.0.push((key.to_owned(), message.to_owned()));
        }
    }

    /// Names make sources and labels: they must be there, short, and each there once.
    fn names<'a>(&mut self, kind: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (i, name) in names.enumerate() {
            let key = format!("probes.{kind}[{i}].name");
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let usable = !name.is_empty() && name.len() <= 100 && name.chars().all(plain);
            self.require(usable, &key, "must be 1 to 100 letters, digits, '.', '_' or '-'");
            self.require(seen.insert(name), &key, "is there twice");
        }
    }

    fn url(&mut self, key: &str, url: &str) {
        let message = "must start with http:// or https://";
        self.require(super::load::is_http_url(url), &format!("{key}.url"), message);
        let bare = reqwest::Url::parse(url).is_ok_and(|url| url.username().is_empty() && url.password().is_none());
        self.require(bare, &format!("{key}.url"), "must hold no user and password: they have keys of their own");
    }

    fn pace(&mut self, key: &str, interval: Span, timeout: Span) {
        let (interval_ms, timeout_ms) = (interval.as_millis(), timeout.as_millis());
        let between = (1_000..=3_600_000).contains(&interval_ms);
        self.require(between, &format!("{key}.interval"), "must lie between 1s and 1h");
        let between = (100..=60_000).contains(&timeout_ms);
        self.require(between, &format!("{key}.timeout"), "must lie between 100ms and 1m");
    }

    fn mapping(&mut self, key: &str, mapping: &PrometheusMetricConfig) {
        self.require(!mapping.name.is_empty(), &format!("{key}.name"), "must not be empty");
        let is_metric = mapping.metric.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let named = is_metric && (1..=100).contains(&mapping.metric.len());
        self.require(named, &format!("{key}.metric"), "must be 1 to 100 lower-case letters, digits and _");
        let factor = mapping.factor;
        self.require(factor.is_finite() && factor != 0.0, &format!("{key}.factor"), "must be a number other than 0");
        let template = mapping.source.replace(['{', '}'], "");
        let braces = |c| mapping.source.matches(c).count();
        let usable = !template.is_empty() && braces('{') == braces('}');
        self.require(usable, &format!("{key}.source"), "must be a name, with labels as {label}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_with_its_key() {
        let text = "
            [[redis]]\nname = 'a'\naddress = 'host'\nuser = 'u'\nca_file = 'x'
            [[redis]]\nname = 'a'\naddress = 'host:6379'\ninterval = '10ms'
            [[prometheus]]\nname = ''\nurl = 'ftp://x'\nmetrics = []
            [[prometheus]]\nname = 'p'\nurl = 'http://u:p@x/metrics'
            [[prometheus.metrics]]\nname = ''\nmetric = 'A'\nsource = '{x'\nfactor = 0.0
            [[clickhouse]]\nname = 'c'\nurl = 'http://x'\ntimeout = '2h'";
        let config: ProbesConfig = toml::from_str(text).unwrap();
        let keys: Vec<String> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "probes.redis[1].name",
                "probes.prometheus[0].name",
                "probes.redis[0].address",
                "probes.redis[0].user",
                "probes.redis[0].ca_file",
                "probes.redis[1].interval",
                "probes.prometheus[0].url",
                "probes.prometheus[0].metrics",
                "probes.prometheus[1].url",
                "probes.prometheus[1].metrics[0].name",
                "probes.prometheus[1].metrics[0].metric",
                "probes.prometheus[1].metrics[0].factor",
                "probes.prometheus[1].metrics[0].source",
                "probes.clickhouse[0].timeout",
            ]
        );
    }
}
