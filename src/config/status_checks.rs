//! What types cannot say about `[status]`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::load::is_http_url;
use super::status::{ComponentConfig, StatusConfig, ThresholdConfig};
use super::{Config, Problem, Span};

/// Most components: each has a history of its own and a place on one page.
pub const COMPONENTS_MAX: usize = 100;
/// Most subscribers: each has a queue and a task.
pub const SUBSCRIBERS_MAX: usize = 20;
/// Most services, and most routes, of a component: every window is looked through for them.
const SELECTED_MAX: usize = 1_000;
/// Most forbidden words: everything that is published is looked through for them.
const FORBIDDEN_WORDS_MAX: usize = 1_000;
/// Longest identity.
const ID_BYTES_MAX: usize = 40;
/// Longest name that is shown.
const NAME_CHARS_MAX: usize = 80;
/// Longest description.
const DESCRIPTION_CHARS_MAX: usize = 300;
const DAY_SECONDS: u64 = 86_400;

impl Config {
    /// A directory that the service needs inside the one that every export replaces as a whole: gone with the first.
    pub(super) fn export_problem(&self) -> Option<Problem> {
        let export = plain(self.status.as_ref()?.export_dir.as_ref()?);
        let kept =
            [self.local.data_dir.clone(), self.status_state_dir(), self.notify_state_dir(), self.paging_state_dir()];
        let lost = kept.into_iter().find(|kept| plain(kept).starts_with(&export))?;
        let message = format!("must not be around {}: every export replaces all that is in it", lost.display());
        Some(Problem { key: "status.export_dir".to_owned(), message })
    }
}

/// A path from the root, without steps back. Links are not followed: they may lead elsewhere by the time of an export.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

impl StatusConfig {
    /// Everything that is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        problems.text("name", &self.name, NAME_CHARS_MAX);
        problems.description("description", self.description.as_deref());
        problems.url("url", &self.url);
        let is_plain = !self.url.contains(['?', '#']);
        problems.require(is_plain, "url", "must have no ? and no #: paths are put behind it");
        let is_zone = jiff::tz::TimeZone::get(&self.time_zone).is_ok();
        problems.require(is_zone, "time_zone", "must be an IANA name, such as Europe/Vienna");
        for (key, directory) in [("state_dir", &self.state_dir), ("export_dir", &self.export_dir)] {
            let is_named = directory.as_ref().is_none_or(|directory| !directory.as_os_str().is_empty());
            problems.require(is_named, key, "must name a directory");
        }
        problems.span("stale_after", self.stale_after, 1, DAY_SECONDS);
        problems.span("unknown_after", self.unknown_after, 5, 7 * DAY_SECONDS);
        let is_ordered = self.stale_after.as_millis() < self.unknown_after.as_millis();
        problems.require(is_ordered, "unknown_after", "must be longer than stale_after");
        problems.span("person_holds", self.person_holds, 0, 7 * DAY_SECONDS);
        let words = &self.forbidden_words;
        let message = format!("must be at most {FORBIDDEN_WORDS_MAX}");
        problems.require(words.len() <= FORBIDDEN_WORDS_MAX, "forbidden_words", &message);
        let is_word = words.iter().all(|word| !word.trim().is_empty() && word.chars().count() <= NAME_CHARS_MAX);
        problems.require(is_word, "forbidden_words", &format!("must be words of 1 to {NAME_CHARS_MAX} characters"));
        self.component_problems(&mut problems);
        self.subscriber_problems(&mut problems);
        problems.0
    }

    fn component_problems(&self, problems: &mut Problems) {
        let message = format!("must be at most {COMPONENTS_MAX}");
        problems.require(self.components.len() <= COMPONENTS_MAX, "components", &message);
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (i, component) in self.components.iter().enumerate() {
            let key = |key: &str| format!("components[{i}].{key}");
            let message = format!("must be 1 to {ID_BYTES_MAX} lower-case letters, digits and -");
            problems.require(is_id(&component.id), &key("id"), &message);
            problems.require(ids.insert(&component.id), &key("id"), "is there twice");
            problems.text(&key("name"), &component.name, NAME_CHARS_MAX);
            problems.require(names.insert((&component.group, &component.name)), &key("name"), "is there twice");
            problems.description(&key("description"), component.description.as_deref());
            if let Some(group) = &component.group {
                problems.text(&key("group"), group, NAME_CHARS_MAX);
            }
            component.problems(&key, problems);
        }
    }

    fn subscriber_problems(&self, problems: &mut Problems) {
        let message = format!("must be at most {SUBSCRIBERS_MAX}");
        problems.require(self.subscribers.len() <= SUBSCRIBERS_MAX, "subscribers", &message);
        let mut names = BTreeSet::new();
        for (i, subscriber) in self.subscribers.iter().enumerate() {
            let key = |key: &str| format!("subscribers[{i}].{key}");
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            let name = &subscriber.name;
            let is_name = !name.is_empty() && name.len() <= ID_BYTES_MAX && name.chars().all(plain);
            problems.require(is_name, &key("name"), &format!("must be 1 to {ID_BYTES_MAX} letters, digits, - and _"));
            problems.require(names.insert(name), &key("name"), "is there twice");
            problems.url(&key("url"), &subscriber.url);
            problems.span(&key("timeout"), subscriber.timeout, 1, 60);
        }
    }
}

impl ComponentConfig {
    fn problems(&self, key: &impl Fn(&str) -> String, problems: &mut Problems) {
        for (name, texts) in [("services", &self.services), ("routes", &self.routes)] {
            problems.require(texts.len() <= SELECTED_MAX, &key(name), &format!("must be at most {SELECTED_MAX}"));
            let is_said = texts.iter().all(|text| !text.trim().is_empty());
            problems.require(is_said, &key(name), "must not hold empty names: no request would fit");
        }
        let is_share = |share: f64| share > 0.0 && share <= 1.0;
        let is_aim = self.availability.is_none_or(is_share);
        problems.require(is_aim, &key("availability"), "must be above 0 and at most 1");
        let levels = [("degraded", &self.degraded), ("partial", &self.partial), ("major", &self.major)];
        for (name, level) in levels {
            let is_usable = is_share(level.failing) && level.slow.is_none_or(is_share);
            problems.require(is_usable, &key(name), "must be shares above 0 and at most 1");
        }
        for ((_, better), (name, worse)) in levels.into_iter().zip(levels.into_iter().skip(1)) {
            let is_ordered = better.failing <= worse.failing && is_slow_ordered(better, worse);
            problems.require(is_ordered, &key(name), "must not be reached before the state that is less bad");
        }
        problems.require(
            (1..=1_000_000).contains(&self.requests_min),
            &key("requests_min"),
            "must be from 1 to 1000000",
        );
        if let Some(slow_from) = self.slow_from {
            let is_time = (1..=3_600_000).contains(&slow_from.as_millis());
            problems.require(is_time, &key("slow_from"), "must lie between 1ms and 1h");
        }
        problems.span(&key("worse_after"), self.worse_after, 0, 3_600);
        problems.span(&key("better_after"), self.better_after, 0, 3_600);
        problems.span(&key("silent_after"), self.silent_after, 60, 7 * DAY_SECONDS);
        problems.span(&key("auto_publish_after"), self.auto_publish_after, 0, DAY_SECONDS);
    }
}

/// Whatever reaches the worse state by slowness reaches the better one, by slowness as well.
fn is_slow_ordered(better: &ThresholdConfig, worse: &ThresholdConfig) -> bool {
    worse.slow.is_none_or(|worse| better.slow.is_some_and(|better| better <= worse))
}

fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.chars().all(plain) && !id.starts_with('-') && !id.ends_with('-')
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn require(&mut self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.0.push(Problem { key: format!("status.{key}"), message: message.to_owned() });
        }
    }

    fn text(&mut self, key: &str, text: &str, chars_max: usize) {
        let is_usable =
            !text.trim().is_empty() && text.chars().count() <= chars_max && !text.contains(char::is_control);
        self.require(is_usable, key, &format!("must be one line of 1 to {chars_max} characters"));
    }

    fn description(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text, DESCRIPTION_CHARS_MAX);
        }
    }

    fn url(&mut self, key: &str, url: &str) {
        self.require(is_http_url(url), key, "must start with http:// or https://");
        let holds_user =
            reqwest::Url::parse(url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
        self.require(!holds_user, key, "must hold no user and password");
    }

    fn span(&mut self, key: &str, span: Span, seconds_min: u64, seconds_max: u64) {
        let (least, most) = (Span::from_secs(seconds_min), Span::from_secs(seconds_max));
        let holds = (least.as_millis()..=most.as_millis()).contains(&span.as_millis());
        self.require(holds, key, &format!("must lie between {least} and {most}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let config: StatusConfig = toml::from_str(text).unwrap();
        config.problems().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn an_empty_section_and_a_plain_component_are_right() {
        assert_eq!(keys(""), [""; 0]);
        assert_eq!(keys("[[components]]\nid = 'api'\nname = 'API'\n"), [""; 0]);
    }

    #[test]
    fn what_is_kept_is_not_inside_what_is_replaced() {
        let problem = |text: &str| Some(toml::from_str::<Config>(text).unwrap().export_problem()?.message);
        let kept = "[local]\ndata_dir = '/var/lib/floodmark'\n[status]\n";
        for (text, expected) in [
            ("export_dir = '/var/www/status'", None),
            ("export_dir = '/var/lib/floodmark/public'", None),
            ("export_dir = '/var/lib/floodmark-public'", None),
            ("export_dir = '/var/www/../lib'", Some("/var/lib/floodmark")),
            ("export_dir = '/var/www'\nstate_dir = '/var/www/state'", Some("/var/www/state")),
            ("export_dir = 'public'\nstate_dir = './public'", Some("./public")),
        ] {
            let message = problem(&format!("{kept}{text}"));
            let is_told = expected.is_some_and(|lost| message.as_ref().is_some_and(|text| text.contains(lost)));
            assert!(is_told || (message.is_none() && expected.is_none()), "{text}: {message:?}");
        }
    }

    #[test]
    fn every_problem_is_told_with_its_key() {
        let text = "name = ' '\nurl = 'ftp://x?y'\ntime_zone = 'Mars/Base'\nstate_dir = ''\nstale_after = '20m'\n\
                    forbidden_words = ['']\n\
                    [[components]]\nid = 'A b'\nname = \"a\\nb\"\nservices = ['']\navailability = 1.5\n\
                    degraded = { failing = 0.5 }\nrequests_min = 0\nworse_after = '2h'\nsilent_after = '1s'\n\
                    [[components]]\nid = 'A b'\nname = 'c'\nmajor = { failing = 0.0 }\n\
                    [[subscribers]]\nname = '../x'\nurl = 'https://user:word@x'\ntimeout = '0s'\n";
        let expected = [
            "name",
            "url",
            "url",
            "time_zone",
            "state_dir",
            "unknown_after",
            "forbidden_words",
            "components[0].id",
            "components[0].name",
            "components[0].services",
            "components[0].availability",
            "components[0].partial",
            "components[0].requests_min",
            "components[0].worse_after",
            "components[0].silent_after",
            "components[1].id",
            "components[1].id",
            "components[1].major",
            "components[1].major",
            "subscribers[0].name",
            "subscribers[0].url",
            "subscribers[0].timeout",
        ];
        assert_eq!(keys(text), expected.map(|key| format!("status.{key}")));
    }

    #[test]
    fn slowness_is_ordered_too() {
        let component = |levels: &str| keys(&format!("[[components]]\nid = 'a'\nname = 'A'\n{levels}"));
        assert_eq!(component("degraded = { failing = 0.02 }\n"), ["status.components[0].partial"]);
        let levels = "degraded = { failing = 0.02 }\npartial = { failing = 0.1 }\n";
        assert_eq!(component(levels), [""; 0], "nobody asked about slowness");
    }

    #[test]
    fn lists_are_bounded() {
        let components: String =
            (0..=COMPONENTS_MAX).map(|i| format!("[[components]]\nid = 'c{i}'\nname = '{i}'\n")).collect();
        assert_eq!(keys(&components), ["status.components"]);
        let subscriber = |i| format!("[[subscribers]]\nname = 's{i}'\nurl = 'http://x'\n");
        assert_eq!(keys(&(0..=SUBSCRIBERS_MAX).map(subscriber).collect::<String>()), ["status.subscribers"]);
    }
}
