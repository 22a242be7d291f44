//! What is wrong with `[notify]`: keys that a kind needs or does not know, names, routes to nobody.

use std::collections::BTreeSet;

use super::load::is_http_url;
use super::notify::default_resend;
use super::{NotifyConfig, Problem, ReceiverConfig, ReceiverType, RouteConfig, Span};
use crate::model::Dimension;

/// Most receivers: each has a queue and a file.
pub const RECEIVERS_MAX: usize = 100;
/// Most routes: each notification is compared with all of them.
const ROUTES_MAX: usize = 200;
/// Longest name of a receiver: it is part of a file's name.
const NAME_BYTES_MAX: usize = 64;
/// How often a heartbeat is sent.
const HEARTBEAT_INTERVAL: Span = Span::from_secs(60);

const HTTP_URL_NEEDED: &str = "must start with http:// or https://";

/// What a route asks of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMatcher {
    /// Which label.
    pub dimension: Dimension,
    /// Its value.
    pub value: String,
    /// Whether it must be this value, or must not.
    pub is_equal: bool,
}

impl LabelMatcher {
    /// Reads `service=api` or `service!=api`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, value) = text.split_once('=')?;
        let (name, is_equal) = name.strip_suffix('!').map_or((name, true), |name| (name, false));
        let dimension = serde_json::from_value(name.trim().into()).ok()?;
        Some(Self { dimension, value: value.trim().trim_matches('"').to_owned(), is_equal })
    }
}

impl ReceiverConfig {
    /// How often a heartbeat is sent, or Alertmanager told again.
    #[must_use]
    pub fn interval(&self) -> Span {
        let default = if self.kind == ReceiverType::Heartbeat { HEARTBEAT_INTERVAL } else { default_resend() };
        self.interval.unwrap_or(default)
    }

    /// Keys that are said, beside those of every kind.
    fn keys_said(&self) -> Vec<&'static str> {
        let said = [
            ("url", self.url.is_some()),
            ("url_file", self.url_file.is_some()),
            ("urls", !self.urls.is_empty()),
            ("secret_file", self.secret_file.is_some()),
            ("routing_key_file", self.routing_key_file.is_some()),
            ("topic", self.topic.is_some()),
            ("body", self.body.is_some()),
            ("method", self.method.is_some()),
            ("interval", self.interval.is_some()),
        ];
        said.into_iter().filter_map(|(key, is_said)| is_said.then_some(key)).collect()
    }

    fn problems(&self, has_kafka: bool) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let said = self.keys_said();
        let known = keys_of(self.kind);
        for key in said.iter().filter(|key| !known.contains(key)) {
            let kind = self.kind.as_str();
            problems.push((*key, format!("is not known to kind = \"{kind}\", which takes {}", known.join(", "))));
        }
        let url_count = usize::from(self.url.is_some()) + usize::from(self.url_file.is_some());
        let needed: Option<(&'static str, &str)> = match self.kind {
            ReceiverType::Webhook | ReceiverType::Heartbeat if url_count != 1 => {
                Some(("url", "say where to send: either url or url_file"))
            }
            ReceiverType::Slack if self.url_file.is_none() => {
                Some(("url_file", "is needed: the file with the incoming webhook's URL, which is a secret"))
            }
            ReceiverType::Pagerduty if self.routing_key_file.is_none() => {
                Some(("routing_key_file", "is needed: the file with the integration key of the service"))
            }
            ReceiverType::Kafka if self.topic.as_ref().is_none_or(|topic| topic.trim().is_empty()) => {
                Some(("topic", "is needed: the topic's name"))
            }
            ReceiverType::Kafka if !has_kafka => Some(("kind", "\"kafka\" needs a [kafka] section with brokers")),
            ReceiverType::Alertmanager if self.urls.is_empty() => Some(("urls", "must name at least one replica")),
            _ => None,
        };
        problems.extend(needed.map(|(key, message)| (key, message.to_owned())));
        let wrong = self.url.iter().chain(&self.urls).any(|url| !is_http_url(url));
        if wrong {
            let key = if self.kind == ReceiverType::Alertmanager { "urls" } else { "url" };
            problems.push((key, HTTP_URL_NEEDED.to_owned()));
        }
        if !twice(&self.urls).is_empty() {
            problems.push(("urls", "name the same replica twice".to_owned()));
        }
        if !(1_000..=86_400_000).contains(&self.interval().as_millis()) {
            problems.push(("interval", "must lie between 1s and 1d".to_owned()));
        }
        problems.extend(timeout_problem(self.timeout).map(|message| ("timeout", message)));
        problems
    }
}

/// Keys of a kind, beside `name`, `kind` and `timeout`.
fn keys_of(kind: ReceiverType) -> &'static [&'static str] {
    match kind {
        ReceiverType::Webhook => &["url", "url_file", "secret_file", "body"],
        ReceiverType::Slack => &["url_file"],
        ReceiverType::Pagerduty => &["routing_key_file", "url"],
        ReceiverType::Kafka => &["topic", "body"],
        ReceiverType::Alertmanager => &["urls", "interval"],
        ReceiverType::Heartbeat => &["url", "url_file", "method", "interval"],
    }
}

impl RouteConfig {
    /// What it asks of labels; what cannot be read is left out, and is a problem of the configuration.
    #[must_use]
    pub fn matchers(&self) -> Vec<LabelMatcher> {
        self.labels.iter().filter_map(|text| LabelMatcher::parse(text)).collect()
    }
}

impl NotifyConfig {
    /// Everything that is wrong with the section.
    pub(super) fn problems(&self, has_kafka: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |key: String, message: String| problems.push(Problem { key: format!("notify.{key}"), message });
        self.unnamed_problems(&mut add);
        if !(60_000..=86_400_000).contains(&self.give_up_after.as_millis()) {
            add("give_up_after".to_owned(), "must lie between 1m and 1d".to_owned());
        }
        self.receiver_problems(has_kafka, &mut add);
        self.route_problems(&mut add);
        problems
    }

    /// Of `webhooks` and `alertmanager`, whose receivers are known by their URL.
    fn unnamed_problems(&self, add: &mut impl FnMut(String, String)) {
        for (i, webhook) in self.webhooks.iter().enumerate() {
            if !is_http_url(&webhook.url) {
                add(format!("webhooks[{i}].url"), HTTP_URL_NEEDED.to_owned());
            }
            if let Some(message) = timeout_problem(webhook.timeout) {
                add(format!("webhooks[{i}].timeout"), message);
            }
        }
        for i in twice(self.webhooks.iter().map(|webhook| &webhook.url)) {
            add(format!("webhooks[{i}].url"), "is there twice".to_owned());
        }
        let Some(alertmanager) = &self.alertmanager else { return };
        if !(1_000..=86_400_000).contains(&alertmanager.resend_interval.as_millis()) {
            add("alertmanager.resend_interval".to_owned(), "must lie between 1s and 1d".to_owned());
        }
        if let Some(message) = timeout_problem(alertmanager.timeout) {
            add("alertmanager.timeout".to_owned(), message);
        }
        if alertmanager.urls.is_empty() {
            add("alertmanager.urls".to_owned(), "must name at least one replica".to_owned());
        }
        for (i, _) in alertmanager.urls.iter().enumerate().filter(|(_, url)| !is_http_url(url)) {
            add(format!("alertmanager.urls[{i}]"), HTTP_URL_NEEDED.to_owned());
        }
        for i in twice(&alertmanager.urls) {
            add(format!("alertmanager.urls[{i}]"), "is there twice".to_owned());
        }
    }

    fn receiver_problems(&self, has_kafka: bool, add: &mut impl FnMut(String, String)) {
        if self.receivers.len() > RECEIVERS_MAX {
            add("receivers".to_owned(), format!("must be at most {RECEIVERS_MAX}"));
        }
        let mut names = BTreeSet::new();
        for (i, receiver) in self.receivers.iter().enumerate() {
            let name = &receiver.name;
            if !is_name(name) {
                let message = format!("must be 1 to {NAME_BYTES_MAX} letters, digits, - and _");
                add(format!("receivers[{i}].name"), message);
            } else if !names.insert(name) {
                add(format!("receivers[{i}].name"), format!("{name} is there twice"));
            }
            for (key, message) in receiver.problems(has_kafka) {
                add(format!("receivers[{i}].{key}"), format!("({name}) {message}"));
            }
        }
    }

    fn route_problems(&self, add: &mut impl FnMut(String, String)) {
        if self.routes.len() > ROUTES_MAX {
            add("routes".to_owned(), format!("must be at most {ROUTES_MAX}"));
        }
        let unknown =
            |names: &[String]| -> Vec<String> { names.iter().filter_map(|name| self.unknown(name)).collect() };
        for message in self.default_receivers.iter().flat_map(|names| unknown(names)) {
            add("default_receivers".to_owned(), message);
        }
        for (i, route) in self.routes.iter().enumerate() {
            if route.receivers.is_empty() {
                add(format!("routes[{i}].receivers"), "must name at least one receiver".to_owned());
            }
            for message in unknown(&route.receivers) {
                add(format!("routes[{i}].receivers"), message);
            }
            for label in route.labels.iter().filter(|text| LabelMatcher::parse(text).is_none()) {
                let message = format!("`{label}` is not name=value or name!=value with the name of a label");
                add(format!("routes[{i}].labels"), message);
            }
        }
    }

    /// Why a name in a route is nobody's.
    fn unknown(&self, name: &str) -> Option<String> {
        let known = self.receivers.iter().find(|receiver| receiver.name == name);
        match known {
            Some(receiver) if receiver.kind == ReceiverType::Heartbeat => {
                Some(format!("{name} is a heartbeat, which takes no notifications"))
            }
            Some(_) => None,
            None => {
                let names: Vec<&str> = self.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
                let near = names.iter().find(|known| strsim::damerau_levenshtein(known, name) <= 2);
                let hint = near.map_or_else(String::new, |near| format!(", did you mean {near}?"));
                Some(format!("no receiver is named {name}{hint}"))
            }
        }
    }
}

/// A timeout of nothing makes every delivery fail that has arrived, and repeats it.
fn timeout_problem(timeout: Span) -> Option<String> {
    (!(1..=60_000).contains(&timeout.as_millis())).then(|| "must lie between 1ms and 1m".to_owned())
}

/// Places of URLs that were there before. Two receivers at one URL would write the same file.
fn twice<'a>(urls: impl IntoIterator<Item = &'a String>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let urls = urls.into_iter().enumerate();
    urls.filter_map(|(i, url)| (!seen.insert(url.trim_end_matches('/'))).then_some(i)).collect()
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: NotifyConfig = toml::from_str(text).unwrap();
        config.problems(false).into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        insta::assert_snapshot!(
            problems(
                "give_up_after = '1s'\ndefault_receivers = ['on-cal', 'pulse']\n\
                 [[webhooks]]\nurl = 'ftp://x'\n\
                 [[receivers]]\nname = 'on-call'\nkind = 'pagerduty'\nurl_file = 'x'\n\
                 [[receivers]]\nname = 'on-call'\nkind = 'slack'\n\
                 [[receivers]]\nname = 'a b'\nkind = 'webhook'\nurl = 'http://x'\nurl_file = 'y'\n\
                 [[receivers]]\nname = 'topic'\nkind = 'kafka'\ntopic = 'pages'\n\
                 [[receivers]]\nname = 'pulse'\nkind = 'heartbeat'\nurl = 'x'\ninterval = '1ms'\n\
                 [[receivers]]\nname = 'am'\nkind = 'alertmanager'\ntimeout = '2m'\n\
                 [[routes]]\nlabels = ['servce=api']\n"
            )
            .join("\n")
        );
    }

    #[test]
    fn a_timeout_of_nothing_and_a_url_twice_are_refused_wherever_they_are() {
        let text = "[[webhooks]]\nurl = 'http://a/x'\ntimeout = '0s'\n[[webhooks]]\nurl = 'http://b'\ntimeout = '61s'\n\
                    [[webhooks]]\nurl = 'http://a/x'\n\
                    [alertmanager]\nurls = ['http://am:1', 'http://other:1', 'http://am:1/']\ntimeout = '0s'\n\
                    [[receivers]]\nname = 'am'\nkind = 'alertmanager'\nurls = ['http://am:1', 'http://am:1']\n";
        assert_eq!(
            problems(text),
            [
                "notify.webhooks[0].timeout: must lie between 1ms and 1m",
                "notify.webhooks[1].timeout: must lie between 1ms and 1m",
                "notify.webhooks[2].url: is there twice",
                "notify.alertmanager.timeout: must lie between 1ms and 1m",
                "notify.alertmanager.urls[2]: is there twice",
                "notify.receivers[0].urls: (am) name the same replica twice",
            ]
        );
    }

    #[test]
    fn what_is_complete_has_no_problem() {
        let well = "[[receivers]]\nname = 'on-call'\nkind = 'pagerduty'\nrouting_key_file = 'k'\n\
                    [[receivers]]\nname = 'chat'\nkind = 'slack'\nurl_file = 'u'\n\
                    [[receivers]]\nname = 'am'\nkind = 'alertmanager'\nurls = ['http://a:1']\n\
                    [[routes]]\nreceivers = ['chat']\nseverity = ['warning']\nlabels = ['service != api', 'client=a=b']\n\
                    alert = ['RestartLoop']\ncontinue = true\n";
        assert_eq!(problems(well), [""; 0]);
        let config: NotifyConfig = toml::from_str(well).unwrap();
        let matchers = config.routes[0].matchers();
        assert_eq!((matchers[0].dimension, matchers[0].is_equal), (Dimension::Service, false));
        assert_eq!(matchers[1].value, "a=b");
    }
}
