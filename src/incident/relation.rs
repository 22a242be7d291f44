//! How an alert relates to the incidents that are open: which one it belongs to, and as what.
//!
//! One incident a cause. Symptoms join what is near in time. A culprit leads an incident that had only symptoms; beside
//! another culprit it takes part when one can follow from the other: retries follow from failures, internal calls from
//! retries at the edge. What began first leads. Everything else is an incident of its own.

use super::open::{Incident, Root, explains};
use crate::alert::AlertChange;
use crate::detect::Role;
use crate::model::{AlertName, Dimension, Dimensions, DurationMs, Severity, Timestamp};

/// A symptom belongs to an incident that was active this shortly before it, and began at most this long after it.
const JOIN_MS: DurationMs = 600_000;
/// A culprit found this long after an incident with only symptoms began is its cause.
const ADOPT_MS: DurationMs = 1_800_000;
/// Of two culprits the one that began earlier by more than this leads.
const EARLIER_MS: DurationMs = 60_000;
/// Share of requests at the edge that must fail for retries to be a reaction to what another culprit does.
const FAILING_SHARE_MIN: f64 = 0.02;

/// Where an alert belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is part of that incident.
    Joins(usize),
    /// It is the culprit of that incident, in place of the one named so far, if any.
    Leads(usize),
}

/// The incident among `open` that an alert, which none of them holds yet, belongs to at `at`, or none. `failing_share` is that of the last minute at the edge.
#[must_use]
pub fn place(open: &[Incident], change: &AlertChange, at: Timestamp, failing_share: f64) -> Option<Place> {
    match change.finding.role {
        Role::Cause => of_cause(open, change, at, failing_share),
        Role::Symptom => of_symptom(open, change, at).map(Place::Joins),
        Role::Separate => {
            let labels = &change.key.labels;
            // Thousands of customers may come at once: they are not asked after what they cannot share.
            let may_share = labels.get(Dimension::Source).or(labels.get(Dimension::Fingerprint)).is_some();
            let same = || open.iter().rposition(|incident| is_about_the_same(incident, change, at));
            of_customer(open, change).or_else(|| if may_share { same() } else { None }).map(Place::Joins)
        }
    }
}

fn of_cause(open: &[Incident], change: &AlertChange, at: Timestamp, failing_share: f64) -> Option<Place> {
    let find = |relates: &dyn Fn(&Incident) -> bool| open.iter().rposition(relates);
    let young = |incident: &Incident| at.since(incident.started_at()) <= ADOPT_MS;
    let severity = change.key.severity.0;
    let same = |incident: &Incident| {
        incident.root().is_some_and(|root| root.labels == change.key.labels)
            || incident.is_contributor(&change.key.labels)
    };
    // A ticket that has been open for days is not the onset of today's storm.
    let grows = |incident: &Incident| young(incident) && incident.severity() < severity;
    let known = |incident: &Incident| {
        same(incident)
            && (incident.severity() >= severity && near(incident, at) || grows(incident) && incident.has_fired())
    };
    if let Some(place) = find(&known) {
        return Some(Place::Joins(place));
    }
    if let Some(place) = find(&|incident| young(incident) && is_wider(incident, change)) {
        return Some(Place::Leads(place));
    }
    let related = |incident: &Incident| {
        let Some(root) = incident.root() else { return false };
        young(incident) && near(incident, at) && !same(incident) && follows(root, change, failing_share)
    };
    let symptoms = |incident: &Incident| {
        let serious = severity == Severity::Critical || incident.severity() == severity;
        incident.has_only_symptoms() && serious && young(incident) && near(incident, at)
    };
    if let Some(place) = find(&related) {
        let earlier = |root: &Root| root.since.since(change.since) > EARLIER_MS;
        // One customer who was only suspected, of less, and told to nobody, does not lead a page.
        let one_customer = |root: &Root| root.labels.get(Dimension::Subscription).is_some();
        let suspected = !open[place].has_fired()
            && open[place].severity() < severity
            && open[place].root().is_some_and(one_customer);
        if severity == Severity::Critical && suspected {
            // What the flood does to the platform may be a page of its own already: one page, not two.
            return Some(Place::Leads(find(&symptoms).unwrap_or(place)));
        }
        let explained = |root: &Root| earlier(root) && explains(change) || !root.explains;
        let leads = severity == Severity::Critical && open[place].root().is_some_and(explained);
        return Some(if leads { Place::Leads(place) } else { Place::Joins(place) });
    }
    // Where nobody has been told of it yet, what is already known as a page comes first.
    let suspected = |incident: &Incident| same(incident) && grows(incident);
    let ticket = |incident: &Incident| incident.root().is_none() && is_about_the_same(incident, change, at);
    find(&symptoms).or_else(|| find(&ticket)).map(Place::Leads).or_else(|| find(&suspected).map(Place::Joins))
}

fn near(incident: &Incident, at: Timestamp) -> bool {
    at.since(incident.last_active()) <= JOIN_MS
}

/// One customer was named before it was clear that all on its version do it.
fn is_wider(incident: &Incident, change: &AlertChange) -> bool {
    let narrow = incident.root().and_then(|root| root.labels.get(Dimension::Subscription));
    let names = |subscription: &str| change.finding.customers.iter().any(|c| c.subscription == subscription);
    incident.severity() == change.key.severity.0
        && (change.key.labels.get(Dimension::ClientVersion).is_some() || change.key.labels.is_empty())
        && narrow.is_some_and(names)
}

/// Whether one of two culprits can follow from the other.
fn follows(root: &Root, change: &AlertChange, failing_share: f64) -> bool {
    let (alert, labels) = (change.key.alert, &change.key.labels);
    let edge_retries = |alert: AlertName, labels: &Dimensions| {
        alert == AlertName::RetryAmplification && labels.get(Dimension::Caller).is_none()
    };
    if share_a_subject(&root.labels, labels) {
        return true;
    }
    match (edge_retries(root.alert, &root.labels), edge_retries(alert, labels)) {
        // Two clients: each is a culprit of its own, unless the same failures set them off together; many customers with
        // nothing in common are part of either.
        (true, true) => {
            let together = change.since.since(root.since).abs() < EARLIER_MS && failing_share >= FAILING_SHARE_MIN;
            root.labels.is_empty() || labels.is_empty() || together
        }
        // Calls inside follow from the flood at the edge, or made it fail in the first place.
        (true, false) => {
            let follows = explains(change) || root.since.since(change.since) <= EARLIER_MS;
            labels.get(Dimension::Caller).is_some() || failing_share >= FAILING_SHARE_MIN && follows
        }
        (false, true) => {
            // A pool that has members left made nothing fail; that it leaks may follow from the flood.
            let follows = root.explains || change.since.since(root.since) <= EARLIER_MS;
            failing_share >= FAILING_SHARE_MIN && follows
        }
        // Query patterns of one rollout; layers of one chain of calls.
        (false, false) => root.alert == alert || is_call(&root.labels) && is_call(labels),
    }
}

fn is_call(labels: &Dimensions) -> bool {
    labels.get(Dimension::Caller).is_some()
}

/// The same source, or calls that meet in a service.
fn share_a_subject(a: &Dimensions, b: &Dimensions) -> bool {
    let services = |labels: &Dimensions| {
        [labels.get(Dimension::Caller), labels.get(Dimension::Service)].map(|name| name.map(str::to_owned))
    };
    let same_source = a.get(Dimension::Source).is_some() && a.get(Dimension::Source) == b.get(Dimension::Source);
    let (of_a, of_b) = (services(a), services(b));
    same_source || of_a.iter().flatten().any(|service| of_b.iter().flatten().any(|other| other == service))
}

fn of_symptom(open: &[Incident], change: &AlertChange, at: Timestamp) -> Option<usize> {
    let in_time = |incident: &Incident| near(incident, at) && change.since.since(incident.started_at()) >= -JOIN_MS;
    let growing = |incident: &Incident| at.since(incident.last_grown()) <= ADOPT_MS;
    let may_explain = |incident: &Incident| incident.root().is_none_or(|root| root.explains);
    let critical =
        |incident: &Incident| incident.severity() == Severity::Critical && in_time(incident) && may_explain(incident);
    let related = |incident: &Incident| {
        let labels = incident.root().map(|root| &root.labels);
        in_time(incident) && labels.is_some_and(|labels| share_a_subject(labels, &change.key.labels))
    };
    let find = |relates: &dyn Fn(&Incident) -> bool| open.iter().rposition(relates);
    find(&related)
        .or_else(|| find(&|incident| critical(incident) && incident.root().is_some()))
        .or_else(|| find(&|incident| is_about_the_same(incident, change, at)))
        .or_else(|| find(&|incident| critical(incident) && growing(incident)))
        .or_else(|| find(&|incident| in_time(incident) && growing(incident) && is_in_the_platform(incident)))
        .or_else(|| find(&|incident| incident.has_only_symptoms() && in_time(incident) && growing(incident)))
}

/// Alerts about one source, or one query pattern, are one matter.
fn is_about_the_same(incident: &Incident, change: &AlertChange, at: Timestamp) -> bool {
    let same = |dimension| change.key.labels.get(dimension).is_some_and(|value| incident.is_about(dimension, value));
    near(incident, at) && (same(Dimension::Source) || same(Dimension::Fingerprint))
}

/// A culprit inside the platform, a ticket so far, is why things begin to fail; a customer's harmless retries are not.
fn is_in_the_platform(incident: &Incident) -> bool {
    let inside = |root: &Root| {
        matches!(root.alert, AlertName::RequestAmplification | AlertName::QueryBlowup | AlertName::PoolLeak)
    };
    incident.has_fired() && incident.root().is_some_and(|root| inside(root) && root.explains)
}

/// A ticket about a customer belongs to the incident in which that customer is a culprit.
fn of_customer(open: &[Incident], change: &AlertChange) -> Option<usize> {
    let subscription = change.key.labels.get(Dimension::Subscription)?;
    open.iter().rposition(|incident| incident.root().is_some() && incident.has_customer(subscription))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertKey;
    use crate::detect::Finding;
    use crate::model::{Affected, Cause, Confidence, Text, TransitionEvent};

    const MINUTE_MS: i64 = 60_000;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_772_352_000_000 + minute * MINUTE_MS)
    }

    /// An alert whose condition began at `since` (minutes).
    fn alert(
        alert: AlertName,
        role: Role,
        severity: Severity,
        labels: &[(Dimension, &str)],
        since: i64,
    ) -> AlertChange {
        let labels = Dimensions::new(labels.iter().map(|(dimension, value)| (*dimension, Text::from(*value))));
        let cause =
            Cause { dimensions: labels.clone(), share: 1.0, confidence: Confidence::High, evidence: String::new() };
        let finding = Finding {
            alert,
            labels: labels.clone(),
            since: minute(since),
            value: 1.0,
            baseline: 1.0,
            harm: 1.0,
            unit: "",
            causes: vec![cause],
            affected: Affected::default(),
            customers: Vec::new(),
            summary: String::new(),
            role,
        };
        let key = AlertKey { severity: std::cmp::Reverse(severity), alert, labels };
        AlertChange { key, event: TransitionEvent::Firing, since: minute(since), finding }
    }

    fn page(name: AlertName, role: Role, labels: &[(Dimension, &str)], since: i64) -> AlertChange {
        alert(name, role, Severity::Critical, labels, since)
    }

    fn opened_by(change: &AlertChange) -> Vec<Incident> {
        let mut incident = Incident::new(change, change.since);
        incident.apply(change, &change.finding.causes, change.since);
        vec![incident]
    }

    const VERSION: [(Dimension, &str); 2] = [(Dimension::Client, "cli"), (Dimension::ClientVersion, "4.0.0")];
    const CALL: [(Dimension, &str); 2] = [(Dimension::Caller, "rebuild"), (Dimension::Service, "database")];

    #[test]
    fn the_culprit_leads_what_were_symptoms_before_even_a_ticket() {
        let cache = [(Dimension::Source, "cache/config")];
        let ticket = alert(AlertName::CacheCollapse, Role::Symptom, Severity::Warning, &cache, 0);
        let calls = page(AlertName::RequestAmplification, Role::Cause, &CALL, 1);
        assert_eq!(place(&opened_by(&ticket), &calls, minute(2), 0.0), Some(Place::Leads(0)));
        let leak = alert(AlertName::MemoryExhaustion, Role::Separate, Severity::Warning, &cache, 0);
        assert_eq!(place(&opened_by(&leak), &calls, minute(2), 0.0), None, "a leak's ticket is another matter");
    }

    #[test]
    fn a_cache_that_collapsed_first_is_told_as_a_cause_after_the_culprit() {
        let cache = [(Dimension::Source, "cache/config")];
        let mut open = opened_by(&alert(AlertName::CacheCollapse, Role::Symptom, Severity::Warning, &cache, 0));
        let calls = page(AlertName::RequestAmplification, Role::Cause, &CALL, 1);
        open[0].replace_root(&calls);
        open[0].apply(&calls, &calls.finding.causes, minute(2));
        let causes: Vec<_> = open[0].causes().map(|cause| cause.dimensions.to_string()).collect();
        assert_eq!(causes, ["service = database, caller = rebuild", "source = cache/config"]);
    }

    #[test]
    fn retries_take_part_in_what_made_requests_fail_and_stand_alone_when_nothing_fails() {
        let open = opened_by(&page(AlertName::RequestAmplification, Role::Cause, &CALL, 0));
        let retries = page(AlertName::RetryAmplification, Role::Cause, &VERSION, 5);
        assert_eq!(place(&open, &retries, minute(6), 0.3), Some(Place::Joins(0)));
        assert_eq!(place(&open, &retries, minute(6), 0.001), None);
        assert_eq!(place(&open, &retries, minute(90), 0.3), None, "the incident is too old to be its cause");
    }

    #[test]
    fn a_leak_of_a_pool_with_members_left_is_not_why_requests_fail() {
        let pool = [(Dimension::Source, "pool/sessions")];
        let leak = |severity, held, since| {
            let mut leak = alert(AlertName::PoolLeak, Role::Cause, severity, &pool, since);
            leak.finding.harm = held;
            leak
        };
        let retries = page(AlertName::RetryAmplification, Role::Cause, &VERSION, 25);
        let burn = page(AlertName::ErrorBudgetBurn, Role::Symptom, &[(Dimension::Service, "api")], 25);
        for severity in [Severity::Warning, Severity::Critical] {
            let lasting = |leak: &AlertChange| {
                let mut open = opened_by(leak);
                open[0].touch(minute(26));
                open
            };
            let open = lasting(&leak(severity, 0.4, 0));
            assert_eq!(place(&open, &retries, minute(26), 0.3), None, "{severity:?}");
            assert_eq!(place(&open, &burn, minute(26), 0.3), None, "{severity:?}");
            let full = lasting(&leak(severity, 1.0, 0));
            assert_eq!(place(&full, &retries, minute(26), 0.3), Some(Place::Joins(0)), "{severity:?}");
            assert_eq!(place(&full, &burn, minute(26), 0.3), Some(Place::Joins(0)), "{severity:?}");
            let mut exhausted = open;
            let full = page(AlertName::PoolExhaustion, Role::Symptom, &pool, 24);
            exhausted[0].apply(&full, &full.finding.causes, minute(24));
            assert_eq!(place(&exhausted, &burn, minute(26), 0.3), Some(Place::Joins(0)), "{severity:?}");
        }
        let storm = opened_by(&page(AlertName::RetryAmplification, Role::Cause, &VERSION, 10));
        let at = minute(13);
        assert_eq!(place(&storm, &leak(Severity::Critical, 0.4, 8), at, 0.3), None, "it began before, far from full");
        assert_eq!(place(&storm, &leak(Severity::Critical, 0.4, 11), at, 0.3), Some(Place::Joins(0)), "a consequence");
        assert_eq!(place(&storm, &leak(Severity::Critical, 1.0, 8), at, 0.3), Some(Place::Leads(0)), "it is full");
    }

    #[test]
    fn what_began_first_leads() {
        let open = opened_by(&page(AlertName::RetryAmplification, Role::Cause, &VERSION, 10));
        let early = page(AlertName::RequestAmplification, Role::Cause, &CALL, 5);
        assert_eq!(place(&open, &early, minute(12), 0.3), Some(Place::Leads(0)));
        let late = page(AlertName::RequestAmplification, Role::Cause, &CALL, 11);
        assert_eq!(place(&open, &late, minute(12), 0.3), Some(Place::Joins(0)));
    }

    #[test]
    fn two_clients_are_two_culprits_and_layers_of_calls_are_one() {
        let open = opened_by(&page(AlertName::RetryAmplification, Role::Cause, &VERSION, 0));
        let other = [(Dimension::Client, "sdk"), (Dimension::ClientVersion, "2.1")];
        assert_eq!(place(&open, &page(AlertName::RetryAmplification, Role::Cause, &other, 1), minute(2), 0.5), None);
        let open = opened_by(&page(AlertName::RequestAmplification, Role::Cause, &CALL, 0));
        let layer = [(Dimension::Caller, "api"), (Dimension::Service, "rebuild")];
        let layer = page(AlertName::RequestAmplification, Role::Cause, &layer, 1);
        assert_eq!(place(&open, &layer, minute(2), 0.0), Some(Place::Joins(0)));
    }

    #[test]
    fn a_page_is_led_by_what_was_only_suspected_so_far() {
        let mut suspected = alert(AlertName::RetryAmplification, Role::Cause, Severity::Warning, &VERSION, 0);
        suspected.event = TransitionEvent::Pending;
        let mut open = opened_by(&suspected);
        open.extend(opened_by(&page(AlertName::ErrorBudgetBurn, Role::Symptom, &[(Dimension::Service, "api")], 0)));
        let retries = page(AlertName::RetryAmplification, Role::Cause, &VERSION, 0);
        assert_eq!(place(&open, &retries, minute(1), 0.5), Some(Place::Leads(1)));
        assert_eq!(place(&open[..1], &retries, minute(1), 0.5), Some(Place::Joins(0)));
    }

    #[test]
    fn a_customer_who_was_only_suspected_does_not_lead_the_page_about_its_version() {
        let customer = [(Dimension::Subscription, "org-1")];
        let mut suspected = alert(AlertName::RetryAmplification, Role::Cause, Severity::Warning, &customer, 0);
        suspected.event = TransitionEvent::Pending;
        let retries = page(AlertName::RetryAmplification, Role::Cause, &VERSION, 0);
        assert_eq!(place(&opened_by(&suspected), &retries, minute(1), 0.5), Some(Place::Leads(0)));
        suspected.event = TransitionEvent::Firing;
        assert_eq!(place(&opened_by(&suspected), &retries, minute(1), 0.5), Some(Place::Joins(0)), "told before");
    }

    #[test]
    fn failures_after_a_query_pattern_became_heavy_are_its_symptoms() {
        let pattern = [(Dimension::Fingerprint, "q3")];
        let open = opened_by(&alert(AlertName::QueryBlowup, Role::Cause, Severity::Warning, &pattern, 0));
        let burn = page(AlertName::ErrorBudgetBurn, Role::Symptom, &[(Dimension::Service, "reports")], 3);
        assert_eq!(place(&open, &burn, minute(5), 0.1), Some(Place::Joins(0)));
        let open = opened_by(&alert(AlertName::RetryAmplification, Role::Cause, Severity::Warning, &VERSION, 0));
        assert_eq!(place(&open, &burn, minute(5), 0.1), None, "retries that harmed nobody so far");
    }

    #[test]
    fn alerts_about_one_source_or_one_pattern_are_one_matter() {
        let agent = [(Dimension::Source, "container/agent")];
        let open = opened_by(&alert(AlertName::MemoryExhaustion, Role::Separate, Severity::Warning, &agent, 0));
        let full = page(AlertName::MemoryExhaustion, Role::Symptom, &agent, 5);
        assert_eq!(place(&open, &full, minute(5), 0.0), Some(Place::Joins(0)));
        let pattern = [(Dimension::Fingerprint, "q3")];
        let open = opened_by(&page(AlertName::QueryBlowup, Role::Cause, &pattern, 0));
        let heavier = alert(AlertName::QueryRegression, Role::Separate, Severity::Warning, &pattern, 0);
        assert_eq!(place(&open, &heavier, minute(2), 0.0), Some(Place::Joins(0)));
        let other = alert(AlertName::QueryRegression, Role::Separate, Severity::Warning, &agent, 0);
        assert_eq!(place(&open, &other, minute(2), 0.0), None);
    }

    #[test]
    fn a_symptom_joins_the_incident_of_its_own_source_first() {
        let pool = [(Dimension::Source, "pool/sessions")];
        let mut open = opened_by(&page(AlertName::PoolLeak, Role::Cause, &pool, 0));
        open.extend(opened_by(&page(AlertName::RetryAmplification, Role::Cause, &VERSION, 1)));
        let full = page(AlertName::PoolExhaustion, Role::Symptom, &pool, 2);
        assert_eq!(place(&open, &full, minute(3), 0.5), Some(Place::Joins(0)));
        let burn = page(AlertName::ErrorBudgetBurn, Role::Symptom, &[(Dimension::Service, "api")], 2);
        assert_eq!(place(&open, &burn, minute(3), 0.5), Some(Place::Joins(1)), "the newest culprit");
    }
}
