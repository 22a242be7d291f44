//! Objective files read together, and what is wrong with them.

use serde_json::Value as Json;

use super::file::SloFile;
use super::unsupported::explain;
use super::{Slo, Slos};
use crate::alert::yaml::{self, FileProblem, Node, SchemaCheck};
use crate::config::Span;
use crate::detect::ObjectiveSelector;

/// Each objective runs two detectors over every window.
const SLOS_MAX: usize = 50;
/// The window that burn rates are told for.
const WINDOW: Span = Span::from_days(30);
/// What is below is no failure of the server.
const STATUS_BELOW: u64 = 500;
const GOOD: &str = "spec.indicator.spec.ratioMetric.good.metricSource.spec";
const TOTAL: &str = "spec.indicator.spec.ratioMetric.total.metricSource.spec";

/// Takes files in, one after the other.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// The objectives so far.
    pub slos: Vec<Slo>,
    /// Every mistake so far.
    pub problems: Vec<FileProblem>,
    /// Where each of the objectives stands.
    files: Vec<String>,
}

impl Collector {
    /// Takes in a file, given what one looks like.
    pub fn file(&mut self, file: &str, text: &str, schema: &Json) {
        let tree = match yaml::parse(file, text) {
            Ok(tree) => tree,
            Err(problem) => return self.problems.push(problem),
        };
        let mut shape = SchemaCheck::problems(file, &tree, schema);
        if !shape.is_empty() {
            shape.sort_by_key(|problem| (problem.line, problem.column));
            return self.problems.extend(shape.into_iter().map(explain));
        }
        match serde_json::from_value::<SloFile>(tree.to_json()) {
            Ok(slo) => self.slo(file, &tree, slo),
            Err(error) => self.problems.push(FileProblem::of_file(file, error.to_string())),
        }
    }

    fn slo(&mut self, file: &str, tree: &Node, slo: SloFile) {
        let mut demands = Demands { file, tree, problems: Vec::new() };
        demands.shape(&slo);
        let (name, known) =
            (&slo.metadata.name, self.slos.iter().position(|s| s.select.objective == slo.metadata.name));
        if let Some(known) = known {
            let message = format!("a second objective `{name}`; the first is in {}", self.files[known]);
            demands.that(false, "metadata.name", &message, "names tell objectives apart");
        }
        let most = format!("is objective number {}: at most {SLOS_MAX} are taken", SLOS_MAX + 1);
        demands.that(self.slos.len() != SLOS_MAX, "", &most, "each runs two detectors over every window");
        demands.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems.append(&mut demands.problems);
        let ratio = slo.spec.indicator.spec.ratio_metric;
        let (good, total) = (ratio.good.metric_source.spec, ratio.total.metric_source.spec);
        self.files.push(file.to_owned());
        self.slos.push(Slo {
            file: file.to_owned(),
            at: tree.place("metadata.name"),
            title: slo.metadata.display_name.unwrap_or_else(|| slo.metadata.name.clone()),
            target: slo.spec.objectives.first().map_or(0.0, |objective| objective.target),
            select: ObjectiveSelector {
                objective: slo.metadata.name,
                service: total.service,
                route: total.route,
                subscription: total.subscription,
                duration_ms_max: good.duration_ms_max,
            },
        });
    }
}

struct Demands<'a> {
    file: &'a str,
    tree: &'a Node,
    problems: Vec<FileProblem>,
}

impl Demands<'_> {
    fn that(&mut self, holds: bool, key: &str, message: &str, hint: &str) {
        if !holds {
            let problem = FileProblem::new(self.file, self.tree.place(key), key, message);
            self.problems.push(problem.hint(hint));
        }
    }

    fn shape(&mut self, slo: &SloFile) {
        let spec = &slo.spec;
        self.that(!slo.metadata.name.trim().is_empty(), "metadata.name", "is empty", "it names the alerts");
        let rolling = matches!(&spec.time_window[..], [window] if window.is_rolling && window.duration == WINDOW);
        let hint = "`- { duration: 30d, isRolling: true }` is supported";
        self.that(rolling, "spec.timeWindow", "must be one rolling window of 30 days", hint);
        let one = spec.objectives.len() == 1;
        self.that(one, "spec.objectives", "must hold exactly one objective", "write one file for each");
        for (i, objective) in spec.objectives.iter().enumerate() {
            let share = objective.target > 0.0 && objective.target < 1.0;
            let key = format!("spec.objectives[{i}].target");
            self.that(share, &key, "must lie between 0 and 1, both excluded", "99.9 % is 0.999");
        }
        let ratio = &spec.indicator.spec.ratio_metric;
        let (good, total) = (&ratio.good.metric_source.spec, &ratio.total.metric_source.spec);
        let key = format!("{GOOD}.status_below");
        let hint = "a 5xx is bad, and with `duration_ms_max` what is slow";
        self.that(good.status_below == STATUS_BELOW, &key, "must be 500", hint);
        let key = format!("{GOOD}.duration_ms_max");
        let positive = good.duration_ms_max.is_none_or(|max| max > 0.0);
        self.that(positive, &key, "must be greater than 0", "in milliseconds");
        for (name, value) in
            [("service", &total.service), ("route", &total.route), ("subscription", &total.subscription)]
        {
            let is_named = value.as_ref().is_none_or(|value| !value.trim().is_empty());
            self.that(is_named, &format!("{TOTAL}.{name}"), "is empty: nothing has that name", "leave it out");
        }
        self.that(!spec.service.trim().is_empty(), "spec.service", "is empty", "the service's name in other tools");
        let narrowed = total.service.is_some() || total.route.is_some() || total.subscription.is_some();
        let hint = "`service`, `route` or `subscription`";
        self.that(narrowed, TOTAL, "must say which requests count", hint);
        let countable = total.subscription.is_none() || good.duration_ms_max.is_none();
        let key = format!("{TOTAL}.subscription");
        let hint = "leave out `subscription` or `duration_ms_max`";
        self.that(countable, &key, "durations are counted by service and route, not by subscription", hint);
    }
}

impl Slos {
    /// Services whose requests an objective is about, all of them, and their failures.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        let whole = |select: &&ObjectiveSelector| {
            select.route.is_none() && select.subscription.is_none() && select.duration_ms_max.is_none()
        };
        self.slos.iter().map(|slo| &slo.select).filter(whole).filter_map(|select| select.service.as_deref())
    }
}
